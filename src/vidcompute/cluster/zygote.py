"""The zygote: a small fork server with the heavy modules loaded, so that starting a task costs milliseconds.

Two processes. The *guard* is what the cluster starts. It forks the zygote, then only waits: when the zygote or the
owner is gone it kills every descendant, and ends when none is left. So the guard's end means that all is dead, also
what hid from its process group. The *zygote* forks a task per `start` message and reports its end once everything
that the task started is dead too.
"""

from __future__ import annotations

import gc
import importlib
import os
import select
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NoReturn

from vidcompute.cluster import link, ties

#: How long the report of a task's end waits for stragglers that do not even die of SIGKILL (a hung network disk).
STRAGGLER_PATIENCE_S = 5.0

_ENDING_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def main() -> None:
    """Be the guard. Arguments: the descriptor of our end of the link, the pid of the owner."""
    link_fd, owner_pid = (int(argument) for argument in sys.argv[-2:])
    # A signal that we can catch, unlike the one our children get: there is killing to do first.
    ties.die_with(owner_pid, by=signal.SIGTERM)
    ties.adopt_orphans()
    sock = socket.socket(fileno=link_fd)
    guard_pid = os.getpid()
    if os.fork() == 0:
        _be_zygote(sock, guard_pid)
    ties.name_process("vc-guard")
    _guard(sock)


def _guard(sock: socket.socket) -> None:
    """Wait for the end of the zygote or of the owner, then leave nobody behind."""
    wake_fd = _wake_on(signal.SIGCHLD, *_ENDING_SIGNALS)
    poller = select.poll()
    poller.register(wake_fd, select.POLLIN)
    # Hanging up is always reported; messages are for the zygote and must not wake us.
    poller.register(sock, 0)
    zygote = ties.children()
    while not _reaped() & zygote:
        ready = {fd for fd, _ in poller.poll()}
        numbers = os.read(wake_fd, 512) if wake_fd in ready else b""
        if ready - {wake_fd} or set(numbers) & set(_ENDING_SIGNALS):
            break
    # Each death may hand us more children; ECHILD says that there are none left to inherit.
    with suppress(ChildProcessError):
        while True:
            ties.kill_all(ties.children())
            os.wait()


def _reaped() -> set[int]:
    """Pids of the children that have ended and were waiting to be reaped."""
    found = set()
    with suppress(ChildProcessError):
        while (pid := os.waitpid(-1, os.WNOHANG)[0]) != 0:
            found.add(pid)
    return found


def _be_zygote(sock: socket.socket, guard_pid: int) -> NoReturn:
    code = 1
    try:
        ties.die_with(guard_pid)
        ties.adopt_orphans()
        ties.name_process("vc-zygote")
        # Ending is the guard's business. Blocked, not ignored: a task that is sent SIGTERM right after its fork must
        # still get it, and the kernel throws ignored signals away.
        signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING_SIGNALS)
        wake_fd = _wake_on(signal.SIGCHLD)
        if (hello := _hello(sock)) is not None:
            ready = {"op": "ready", "failed": _preload(hello), "threads": len(os.listdir("/proc/self/task"))}  # noqa: PTH208
            with suppress(BrokenPipeError, ConnectionResetError):
                Zygote(sock, wake_fd, entry=hello["entry"], clock=time.monotonic).serve(ready)
        code = 0
    finally:
        if code:
            sys.excepthook(*sys.exc_info())
        os._exit(code)


def _hello(sock: socket.socket) -> dict[str, Any] | None:
    """The owner's first message; None if it is gone before that."""
    select.select([sock], [], [])
    message = link.receive(sock)
    return message[0] if message else None


def _preload(hello: dict[str, Any]) -> dict[str, str]:
    """Import what tasks will need; the modules that failed, with their errors."""
    # One task per core is the coordinator's plan: pools of threads per task would fight for the same cores, and
    # threads started here would not survive the fork. Read by C libraries as they load, hence putenv.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.putenv(name, "1")
    # What is allocated from here on lives as long as we do; collecting it would only unshare its pages in each fork.
    gc.disable()
    failed = {}
    # Not at the top: the guard, which shares this module, stays small without it.
    from vidcompute.cluster import taskprocess  # noqa: PLC0415

    taskprocess.warm()
    for module in (hello["entry"].partition(":")[0], *hello["preload"]):
        try:
            importlib.import_module(module)
        except Exception as error:  # noqa: BLE001 - whatever it is: the task that needs the module will say it
            failed[module] = f"{type(error).__name__}: {error}"[:500]
    gc.freeze()
    return failed


def _wake_on(*numbers: signal.Signals) -> int:
    """A descriptor that becomes readable, with the signal's number, when one of `numbers` arrives."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in numbers:
        # A handler must exist for the wake-up descriptor to be written; what it does is done by the reader.
        signal.signal(number, lambda *_: None)
    return reader


@dataclass(slots=True)
class _Ended:
    task_id: str
    status: int
    report_at_s: float


class Zygote:
    """The fork server's loop. Single-threaded: everything it knows changes in `serve` only."""

    def __init__(self, sock: socket.socket, wake_fd: int, *, entry: str, clock: Callable[[], float]) -> None:
        self._sock = sock
        self._wake_fd = wake_fd
        self._entry = entry
        self._clock = clock
        self._tasks: dict[int, str] = {}
        self._ended: list[_Ended] = []
        self._outbox: deque[dict[str, Any]] = deque()
        self._poller = select.poll()
        self._poller.register(wake_fd, select.POLLIN)

    def serve(self, ready: dict[str, Any]) -> None:
        """Work until the owner is gone."""
        self._outbox.append(ready)
        while True:
            self._flush()
            self._poller.register(self._sock, select.POLLIN | (select.POLLOUT if self._outbox else 0))
            for fd, _ in self._poller.poll(1000.0 if self._ended else None):
                if fd == self._wake_fd:
                    os.read(fd, 512)
                elif not self._receive():
                    return
            self._reap()
            self._report()

    def _receive(self) -> bool:
        """Act on what the owner sent; False when it is gone."""
        with suppress(BlockingIOError):
            while (received := link.receive(self._sock)) is not None:
                message, fds = received
                if message["op"] == "start":
                    self._start(message["task"], fds)
                else:
                    self._signal(message["task"], message["signal"])
            return False
        return True

    def _start(self, task_id: str, fds: Sequence[int]) -> None:
        try:
            pid = self._fork(fds)
        except OSError as error:
            self._outbox.append({"op": "refused", "task": task_id, "reason": f"fork failed: {error.strerror}"})
        else:
            self._tasks[pid] = task_id
            self._outbox.append({"op": "started", "task": task_id, "pid": pid})
        finally:
            for fd in fds:
                os.close(fd)

    def _fork(self, fds: Sequence[int]) -> int:
        from vidcompute.cluster.taskprocess import become_task  # noqa: PLC0415 - see _preload

        zygote_pid = os.getpid()
        pid = os.fork()
        if pid == 0:
            become_task((fds[0], fds[1], fds[2]), entry=self._entry, zygote_pid=zygote_pid)
        return pid

    def _signal(self, task_id: str, number: int) -> None:
        """Signal the task's process group. Only we can: until we reap it, its pid cannot be another process."""
        for pid in [pid for pid, known in self._tasks.items() if known == task_id]:
            try:
                os.killpg(pid, number)
            except ProcessLookupError:
                # So young that it has no group of its own yet.
                with suppress(ProcessLookupError):
                    os.kill(pid, number)

    def _reap(self) -> None:
        with suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                if (task_id := self._tasks.pop(pid, None)) is not None:
                    self._ended.append(_Ended(task_id, status, self._clock() + STRAGGLER_PATIENCE_S))

    def _report(self) -> None:
        """Say which tasks ended, once what they left behind is dead; until then its SIGCHLD brings us back."""
        if not self._ended:
            return
        orphans = ties.children() - self._tasks.keys()
        ties.kill_all(orphans)
        now_s = self._clock()
        due = [ended for ended in self._ended if not orphans or ended.report_at_s <= now_s]
        self._ended = [ended for ended in self._ended if ended not in due]
        self._outbox.extend({"op": "exited", "task": ended.task_id, "status": ended.status} for ended in due)

    def _flush(self) -> None:
        with suppress(BlockingIOError):
            while self._outbox:
                link.send(self._sock, self._outbox[0])
                self._outbox.popleft()
