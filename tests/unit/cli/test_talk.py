"""What the commands say to people, beside the data."""

from tests.unit.cli.service import EVENTS, FAILED, JOB, sse

ONE = ("GET", "/api/v1/jobs/job_1")
LOGS = ("GET", "/api/v1/jobs/job_1/logs")


def test_where_to_play_is_said_as_a_whole_address_in_one_line(vidctl):
    answers = {("POST", "/api/v1/jobs"): JOB, LOGS: sse(*EVENTS), ONE: JOB}
    address = "http://127.0.0.1:8080/api/v1/jobs/job_1/hls/master.m3u8"

    waited = vidctl("submit", "https://a/b.mp4", "--wait", answers=answers)
    shown = vidctl("status", "job_1", answers=answers)

    assert f"play: {address}\n" in waited.err
    assert address in shown.out


def test_what_is_said_to_a_program_is_never_cut_into_lines(vidctl):
    hint = "Submit a file with a video stream; " + "sound alone is not accepted, " * 5
    job = {**FAILED, "error": {**FAILED["error"], "hint": hint}}

    ran = vidctl(
        "submit", "https://a/b.mp4", "--wait", answers={("POST", "/api/v1/jobs"): job, LOGS: sse(*EVENTS), ONE: job}
    )

    assert hint in ran.err


def test_the_end_of_a_followed_log_says_why(vidctl):
    end = ("end", {"seq": 1, "at": "2026-01-02T03:04:07Z", "status": "failed", "error": FAILED["error"]}, 1)

    ran = vidctl("logs", "-f", "job_1", answers={LOGS: sse(end)})

    assert ran.out == "03:04:07 end     failed no_video: only sound\n"


def test_that_there_are_no_dead_letters_is_said(vidctl):
    path = "/api/v1/dead-letters"
    answers = {
        ("GET", path): {"dead_letters": [], "next_cursor": None},
        ("POST", f"{path}/requeue"): {"requeued": [], "skipped": []},
    }

    listed = vidctl("dead", answers=answers)
    again = vidctl("dead", "requeue", "--all", answers=answers)

    assert (listed.err, again.err) == ("no dead letters\n", "no dead letters\n")


def test_a_running_job_that_was_asked_to_end_is_canceling(vidctl):
    asked = {**JOB, "status": "running", "cancel_requested": True}

    ran = vidctl("cancel", "job_1", answers={("POST", "/api/v1/jobs/job_1/cancel"): asked})

    assert ran.out == "job_1 canceling\n"
