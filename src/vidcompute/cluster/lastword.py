"""What is said of a task that ended without a word of its own."""

from __future__ import annotations

import os
import signal
from enum import StrEnum

from vidcompute import wire
from vidcompute.domain.task import TaskEvent, TaskEventKind, TaskSpec
from vidcompute.errors import LimitExceeded


class Verdict(StrEnum):
    """Why we killed a task."""

    STOPPED = "it was stopped"
    OVERDUE = "it ran longer than its limit"


def last_word(spec: TaskSpec, *, verdict: Verdict | None, status: int | None, output_tail: str) -> TaskEvent:
    """`lost`, or `failed` if it was over its time. `status` is as of wait(2), None if the whole node went.

    Data of `lost`: reason (a sentence for people), exit_code or signal, stopped, output_tail.
    """
    if verdict is Verdict.OVERDUE:
        error = LimitExceeded(
            f"Task {spec.key} was still running after its limit of {spec.timeout_s:g} s and was ended.",
            hint="Submit something shorter or smaller, or ask the operator for a longer task time.",
            evidence={"output_tail": output_tail},
        )
        return TaskEvent(spec.id, TaskEventKind.FAILED, wire.plain(error.problem()))
    code = None if status is None else os.waitstatus_to_exitcode(status)
    return TaskEvent(
        spec.id,
        TaskEventKind.LOST,
        {
            "reason": verdict.value if verdict else _reason(code),
            "exit_code": code if code is not None and code >= 0 else None,
            "signal": _signal_name(-code) if code is not None and code < 0 else None,
            "stopped": verdict is Verdict.STOPPED,
            "output_tail": output_tail,
        },
    )


def _reason(code: int | None) -> str:
    if code is None:
        return "the process that starts tasks ended, and all tasks with it"
    if code == -signal.SIGKILL:
        return "its process was killed by SIGKILL: by hand, or by the kernel for want of memory"
    if code < 0:
        return f"its process crashed: {_signal_name(-code)}"
    return f"its process exited with code {code} and no result"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
