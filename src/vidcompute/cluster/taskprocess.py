"""The life of a task process, from the fork to its last word."""

from __future__ import annotations

import faulthandler
import gc
import importlib
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn, TextIO

from vidcompute import wire
from vidcompute.cluster import ties
from vidcompute.domain.task import TaskEvent, TaskEventKind, TaskKind, TaskSpec
from vidcompute.errors import Problem, VidcomputeError

#: Longest event, as a line of JSON. Anything larger belongs into the blob store, with its key in the event.
MAX_EVENT_BYTES = 256 * 1024
#: Exit code of a process that could not even say why it failed.
EXIT_SPEECHLESS = 70

#: The kernel's out-of-memory killer should take a task, which is run again, rather than the service or Postgres.
_OOM_SCORE = "500"
_TRACEBACK_CHARACTERS = 16_000

Entry = Callable[[TaskSpec, dict[str, Any], Callable[[TaskEvent], None]], dict[str, Any]]


class Voice:
    """The event pipe of a task: one JSON line an event, from any thread."""

    def __init__(self, events_fd: int, task_id: str) -> None:
        self._fd = events_fd
        self._task_id = task_id
        self._lock = threading.Lock()

    def emit(self, event: TaskEvent) -> None:
        """Say something on the way. Blocks while the listener is behind.

        Raises ValueError for a final event (returning or raising says that) and for one that is too large.
        """
        if event.kind.final or event.kind is TaskEventKind.STARTED:
            raise ValueError(f"a task must not say {event.kind.value!r} itself")
        self.write(event)

    def write(self, event: TaskEvent) -> None:
        """Write any event, whole, in one line. Raises ValueError if it is too large."""
        line = wire.dumps(TaskEvent(self._task_id, event.kind, event.data)) + b"\n"
        if len(line) > MAX_EVENT_BYTES:
            raise ValueError(
                f"a {event.kind.value!r} event of {len(line)} bytes is over the limit of {MAX_EVENT_BYTES}: "
                "put large results into the blob store"
            )
        with self._lock:
            while line:
                line = line[os.write(self._fd, line) :]


def warm() -> None:
    """Do once, before the forks, what every task would do first: the readers and writers of JSON are slow to build."""
    spec = TaskSpec("", "", "", 0, TaskKind.PROBE, "")
    wire.loads(TaskSpec, wire.dumps(spec))
    wire.loads(dict, b"{}")
    wire.dumps(TaskEvent("", TaskEventKind.LOG))
    wire.plain(VidcomputeError("").problem())


def become_task(fds: tuple[int, int, int], *, entry: str, zygote_pid: int) -> NoReturn:
    """Turn a fresh fork of the zygote into the task that its order describes; never returns.

    `fds` are the order (a JSON file: spec and environment), the event pipe, and where stdout and stderr go.
    """
    code = EXIT_SPEECHLESS
    try:
        order_fd, events_fd = _settle_in(fds, zygote_pid)
        _work(order_fd, events_fd, entry)
        code = 0
    except BaseException:  # noqa: BLE001 - nothing may pass: above us is the zygote's loop
        traceback.print_exc()
    finally:
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        # Not sys.exit: the zygote's atexit handlers are not ours, and a stray thread must not keep us.
        os._exit(code)


def _settle_in(fds: tuple[int, int, int], zygote_pid: int) -> tuple[int, int]:
    """Cut every tie to the zygote but one: dying with it."""
    ties.die_with(zygote_pid)
    os.setsid()
    # What we start stays below us while we live, and comes to the zygote, which kills it, when we do not.
    ties.adopt_orphans()
    ties.name_process("vc-task")
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE)
    _reset_signals()
    order_fd, events_fd = _keep_only(fds)
    faulthandler.enable()
    gc.enable()
    return order_fd, events_fd


def _reset_signals() -> None:
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # The zygote keeps these blocked, so one that was sent since the fork is waiting here and takes effect now.
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _keep_only(fds: tuple[int, int, int]) -> tuple[int, int]:
    """Close what we inherited, but for our three; stdout and stderr become the last of them."""
    order_fd, events_fd, output_fd = fds
    os.dup2(output_fd, 1)
    os.dup2(output_fd, 2)
    # The open ones only: closing every possible number takes longer than all the rest where the limit is a million.
    for fd in {int(name) for name in os.listdir("/proc/self/fd")} - {0, 1, 2, order_fd, events_fd}:  # noqa: PTH208
        with suppress(OSError):
            os.close(fd)
    # New ones, as the zygote's were made for other files. By the line: a crash must not swallow those before it.
    sys.stdout, sys.stderr = _printer(1), _printer(2)
    return order_fd, events_fd


def _printer(fd: int) -> TextIO:
    return open(fd, "w", buffering=1, errors="backslashreplace", closefd=False)


def _work(order_fd: int, events_fd: int, entry: str) -> None:
    with open(order_fd, "rb") as order:
        spec_line, environment_line = order.read().split(b"\n", 1)
    spec = wire.loads(TaskSpec, spec_line)
    voice = Voice(events_fd, spec.id)
    try:
        environment = wire.loads(dict, environment_line)
        voice.write(TaskEvent(spec.id, TaskEventKind.DONE, _resolve(entry)(spec, environment, voice.emit)))
    except BaseException as error:  # noqa: BLE001 - however the task ended, the coordinator is told
        _say_failed(voice, problem_of(error))


def _say_failed(voice: Voice, problem: Problem) -> None:
    try:
        voice.write(TaskEvent("", TaskEventKind.FAILED, wire.plain(problem)))
    except ValueError:
        # Evidence is whatever the failing code attached; the failure itself must get through without it.
        voice.write(TaskEvent("", TaskEventKind.FAILED, wire.plain(replace(problem, evidence={}))))


def _resolve(entry: str) -> Entry:
    module, _, name = entry.partition(":")
    found: Entry = getattr(importlib.import_module(module), name)
    return found


def problem_of(error: BaseException) -> Problem:
    """What a task failed with, as data: its own error if it is of our tree, else a bug with its traceback."""
    if (known := _known(error)) is not None:
        return known.problem()
    text = "".join(traceback.format_exception(error))
    return Problem(
        code=VidcomputeError.code,
        title=VidcomputeError.title,
        detail=f"{type(error).__name__}: {error}"[:1000],
        hint=VidcomputeError.default_hint,
        retryable=True,
        evidence={"traceback": text[-_TRACEBACK_CHARACTERS:]},
    )


def _known(error: BaseException) -> VidcomputeError | None:
    """The error of our tree that `error` is, or that a task group wrapped; None if a bug is among them."""
    if isinstance(error, VidcomputeError):
        return error
    if isinstance(error, BaseExceptionGroup):
        inner = [_known(one) for one in error.exceptions]
        return inner[0] if all(inner) else None
    return None
