import signal

import pytest

from vidcompute.cluster.lastword import Verdict, last_word
from vidcompute.domain.task import TaskEventKind, TaskKind, TaskSpec

SPEC = TaskSpec("t", "j", "default", 1, TaskKind.CHUNK, "chunk/0", timeout_s=60.0)


@pytest.mark.parametrize(
    ("status", "exit_code", "name", "reason"),
    [
        (0, 0, None, "exited with code 0"),
        (3 << 8, 3, None, "exited with code 3"),
        (int(signal.SIGSEGV), None, "SIGSEGV", "crashed: SIGSEGV"),
        (int(signal.SIGSEGV) | 0x80, None, "SIGSEGV", "crashed: SIGSEGV"),
        (int(signal.SIGKILL), None, "SIGKILL", "want of memory"),
        (int(signal.SIGRTMIN) + 3, None, "signal 37", "crashed: signal 37"),
        (None, None, None, "all tasks with it"),
    ],
)
def test_loss_says_how_the_process_ended(status, exit_code, name, reason):
    event = last_word(SPEC, verdict=None, status=status, output_tail="tail")

    assert event.kind is TaskEventKind.LOST
    assert (event.data["exit_code"], event.data["signal"]) == (exit_code, name)
    assert reason in event.data["reason"]
    assert (event.data["stopped"], event.data["output_tail"]) == (False, "tail")


def test_stopped_task_is_marked_as_such():
    event = last_word(SPEC, verdict=Verdict.STOPPED, status=15, output_tail="")

    assert (event.kind, event.data["stopped"], event.data["reason"]) == (TaskEventKind.LOST, True, "it was stopped")


def test_task_over_its_time_failed_for_good():
    event = last_word(SPEC, verdict=Verdict.OVERDUE, status=9, output_tail="tail")

    assert event.kind is TaskEventKind.FAILED
    assert (event.data["code"], event.data["retryable"]) == ("limit_exceeded", False)
    assert event.data["evidence"] == {"output_tail": "tail"}
