"""A forked child in the box: Python code (PyAV, OpenCV) that reads untrusted bytes.

The fork is made at the very start of a task, before it has threads or secrets; heavy modules are imported before the
fork, because afterwards the child may be unable to open their files. What it works on comes as open descriptors.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NoReturn

from vidcompute.errors import InvalidInput, Problem, SandboxUnavailable, TaskFailed, VidcomputeError, from_problem
from vidcompute.sandbox import box
from vidcompute.sandbox.channel import Channel, ChannelClosed, TaskEnd
from vidcompute.sandbox.policy import BoxPolicy
from vidcompute.sandbox.verdict import verdict

#: The one reserved message: how a child tells its error. Its value is an errors.Problem as JSON.
_PROBLEM = "$problem"
_STDERR_TAIL_BYTES = 4096
_TRACEBACK_LINES = 30


def fork_boxed(entry: Callable[[Channel], None], policy: BoxPolicy, *, what: str = "the boxed process") -> BoxedChild:
    """Fork, enter the box, call `entry(channel)` in there. `what` names the child in errors.

    Call it from a single-threaded process: a lock held by another thread would stay held in the child for ever.
    """
    if threading.active_count() > 1:
        raise RuntimeError("fork_boxed needs a process without threads: call it first thing in the task")
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    stderr_reader, stderr_writer = os.pipe()
    words = policy.words(parent=os.getpid())
    pid = os.fork()
    if pid == 0:
        ours.close()
        _child(entry, theirs, stderr_writer, words)
    theirs.close()
    os.close(stderr_writer)
    return BoxedChild(pid, ours, stderr_reader, policy=policy, what=what)


class BoxedChild:
    """The task's handle on its child. Use as an async context manager: at the end of the block the child is dead."""

    def __init__(self, pid: int, sock: socket.socket, stderr_fd: int, *, policy: BoxPolicy, what: str) -> None:
        self.pid = pid
        self._end = TaskEnd(sock)
        self._stderr_fd = stderr_fd
        self._policy = policy
        self._what = what
        #: Exit code, negative for a signal; None while it runs.
        self.code: int | None = None
        # A descriptor names this very process even if its number is given to another one later.
        self._pidfd = os.pidfd_open(pid)
        os.set_blocking(stderr_fd, False)

    async def send(self, message: dict[str, Any], *, fds: Sequence[int] = ()) -> None:
        """Send an object whose top-level values are JSON or bytes, with open descriptors.

        A child that is gone raises the reason of its end.
        """
        try:
            await self._end.send(message, fds=fds)
        except (BrokenPipeError, ConnectionResetError) as error:
            await self._finished()
            raise TaskFailed(f"{self._what} ended before its work was handed over") from error

    async def receive(self) -> dict[str, Any] | None:
        """The next message; None when the child has finished well. Raises the child's error, or that of its crash."""
        message = await self._end.receive()
        if message is None:
            await self._finished()
            return None
        if _PROBLEM in message:
            raise _error(message[_PROBLEM], self._what)
        return message

    async def _finished(self) -> None:
        code = await self.wait()
        tail = self._stderr_tail()
        failed = verdict(code, self._policy, what=self._what, stderr_tail=tail)
        if failed is not None:
            raise failed
        if code != 0:
            raise TaskFailed(f"{self._what} exited with code {code}", evidence={"exit_code": code, "stderr_tail": tail})

    async def wait(self, timeout_s: float | None = None) -> int:
        """The exit code, negative for a signal. Raises TimeoutError; the child then goes on running."""
        if self.code is None:
            async with asyncio.timeout(timeout_s):
                await _readable(self._pidfd)
            self._reap()
        assert self.code is not None
        return self.code

    def _reap(self) -> None:
        if self.code is None:
            self.code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def kill(self) -> None:
        """End the child and everything of its session at once."""
        if self.code is None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def close(self) -> None:
        """Kill, reap, close. Blocks for the instant that the kernel needs."""
        self.kill()
        self._reap()
        if self._pidfd >= 0:
            self._end.close()
            os.close(self._pidfd)
            os.close(self._stderr_fd)
            self._pidfd = self._stderr_fd = -1

    async def __aenter__(self) -> BoxedChild:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def _stderr_tail(self) -> str:
        """What fitted into the pipe: native libraries write there just before they die."""
        with suppress(BlockingIOError):
            return os.read(self._stderr_fd, 65536)[-_STDERR_TAIL_BYTES:].decode(errors="replace")
        return ""


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_reader(descriptor, lambda: None if ready.done() else ready.set_result(None))
    try:
        await ready
    finally:
        loop.remove_reader(descriptor)


def _error(said: object, what: str) -> VidcomputeError:
    """The child's error, believed only as far as a child may judge: its input, or its own failure."""
    try:
        problem = Problem(**said)  # type: ignore[arg-type]
        error = from_problem(problem)
    except (TypeError, ValueError):
        return TaskFailed(f"{what} failed and did not say why")
    if isinstance(error, InvalidInput | TaskFailed | SandboxUnavailable):
        return error
    return TaskFailed(problem.detail, evidence=problem.evidence)


def _child(entry: Callable[[Channel], None], sock: socket.socket, stderr_fd: int, words: list[str]) -> NoReturn:
    """The child's whole life. Never returns into the parent's code, whatever happens."""
    code = 1
    try:
        channel = Channel(sock)
        _leave_the_parent(sock.fileno(), stderr_fd)
        code = _work(entry, channel, words)
    finally:
        # Not sys.exit: exit handlers and open files in here are copies of the parent's.
        os._exit(code)


def _leave_the_parent(channel_fd: int, stderr_fd: int) -> None:
    os.setsid()
    # An event loop's signal handlers would write into a wake-up descriptor that both processes share.
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    # Never block on a full pipe: after 64 KiB of complaints the rest is lost, not the child.
    os.set_blocking(stderr_fd, False)
    null = os.open(os.devnull, os.O_RDWR)
    for target, source in ((0, null), (1, null), (2, stderr_fd)):
        os.dup2(source, target)
    # Everything else, the task's event pipe and database sockets among it, is out of the child's reach.
    os.closerange(3, channel_fd)
    os.closerange(channel_fd + 1, _highest_descriptor() + 1)


def _highest_descriptor() -> int:
    return max(int(name) for name in os.listdir("/proc/self/fd"))  # noqa: PTH208 - no paths are made of these numbers


def _work(entry: Callable[[Channel], None], channel: Channel, words: list[str]) -> int:
    try:
        box.enter(box.Rules(words))
        entry(channel)
    except box.Unboxed as missing:
        _tell(channel, SandboxUnavailable(f"The sandbox layer {missing.layer} is missing ({missing.reason})"))
    except VidcomputeError as error:
        _tell(channel, error)
    except MemoryError:
        _tell(channel, TaskFailed("Reading this video needs more memory than a boxed process may have"))
    except ChannelClosed:
        return 0
    except Exception as error:  # noqa: BLE001 - anything a decoder's binding raises; the traceback goes to the task
        lines = "".join(traceback.format_exception(error)).splitlines()
        tail = "\n".join(lines[-_TRACEBACK_LINES:])
        _tell(channel, TaskFailed(f"{type(error).__name__}: {error}", evidence={"traceback": tail}))
    else:
        return 0
    return 1


def _tell(channel: Channel, error: VidcomputeError) -> None:
    problem = error.problem()
    as_data = {name: getattr(problem, name) for name in problem.__slots__}
    # The task may be gone; then there is nobody left to tell.
    with suppress(OSError):
        channel.send({_PROBLEM: as_data})
