"""The exit codes are public interface."""

import httpx
import pytest

from tests.unit.cli.service import EVENTS, FAILED, JOB, problem, sse

ONE = ("GET", "/api/v1/jobs/job_1")
LOGS = ("GET", "/api/v1/jobs/job_1/logs")


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (JOB, 0),
        (problem(422), 1),
        (problem(500), 1),
        (problem(404), 4),
        (problem(401), 5),
        (problem(403), 5),
        (httpx.ConnectError("refused"), 6),
        (httpx.RemoteProtocolError("gone"), 6),
        (httpx.ReadTimeout("slow"), 7),
        (httpx.Response(502, text="<html>"), 1),
        (httpx.Response(200, text="<html>"), 1),
    ],
)
def test_what_the_service_says_decides_the_exit_code(vidctl, answer, code):
    ran = vidctl("status", "job_1", answers={ONE: answer})

    assert ran.code == code
    assert bool(ran.out) == (code == 0)
    assert bool(ran.err) == (code != 0)


def test_a_problem_is_told_with_its_hint_and_a_bug_with_its_request_id(vidctl):
    refused = vidctl("status", "job_1", answers={ONE: problem(422)})
    broken = vidctl("status", "job_1", answers={ONE: problem(500)})

    assert "A title: a detail" in refused.err
    assert "→ a hint" in refused.err
    assert "r1" in broken.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["status", "--nonsense"],
        ["submit"],
        ["submit", "no such file.mp4"],
        ["submit", "https://a/b", "--tag", "novalue"],
        ["frames", "job_1", "--from", "soon"],
        ["frames", "job_1", "--from", "5s", "--to", "1s"],
        ["dead", "requeue"],
        ["serve", "--role", "king"],
        ["completion", "tcsh"],
    ],
)
def test_wrong_usage_is_2(vidctl, arguments):
    assert vidctl(*arguments).code == 2


def test_a_value_that_only_the_service_can_judge_is_wrong_usage_as_well(vidctl):
    refusal = problem(422).json() | {"errors": [{"pointer": "/bitrate", "msg": "must look like 3M"}]}
    answers = {("POST", "/api/v1/jobs"): httpx.Response(422, json=refusal)}

    assert vidctl("submit", "https://a/b.mp4", "--bitrate", "fast", answers=answers).code == 2


def test_a_misspelt_command_is_answered_with_the_right_one(vidctl):
    assert "status" in vidctl("statsu").err


@pytest.mark.parametrize(("job", "code"), [(JOB, 0), (FAILED, 3), ({**JOB, "status": "canceled"}, 3)])
def test_waiting_for_a_job_that_does_not_succeed_is_3(vidctl, job, code):
    submitted = vidctl(
        "submit",
        "https://a/b.mp4",
        "--wait",
        answers={("POST", "/api/v1/jobs"): JOB, LOGS: sse(*EVENTS), ONE: job},
    )
    watched = vidctl("watch", "job_1", answers={LOGS: sse(*EVENTS), ONE: job})

    assert (submitted.code, watched.code) == (code, code)


def test_an_interrupt_while_watching_is_130_and_says_that_the_job_goes_on(vidctl):
    class Interrupted(httpx.AsyncByteStream):
        async def __aiter__(self):
            yield sse(EVENTS[0])
            raise KeyboardInterrupt

    ran = vidctl("watch", "job_1", answers={LOGS: httpx.Response(200, stream=Interrupted()), ONE: JOB})

    assert ran.code == 130
    assert "the job goes on" in ran.err


def test_one_of_several_that_is_missing_does_not_spare_the_others(vidctl):
    canceled = {**JOB, "status": "canceled"}

    ran = vidctl("cancel", "job_0", "job_1", answers={("POST", "/api/v1/jobs/job_1/cancel"): canceled})

    assert ran.code == 4
    assert "job_1 canceled" in ran.out
    assert "job_0" in ran.err
    assert "→ a hint" in ran.err
