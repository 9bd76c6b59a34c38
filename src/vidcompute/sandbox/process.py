"""Child processes: when the block ends, the child and everything it started are dead.

The only module that starts a program. A child gets its own session, hence its own process group, so a signal
to the group reaches what the child itself started. `kill -9` of *this* process runs no clean-up here: children
that must not outlive it set PR_SET_PDEATHSIG themselves (see `launcher.py`).
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from vidcompute.errors import TaskFailed

DEVNULL = subprocess.DEVNULL
PIPE = subprocess.PIPE
STDOUT = subprocess.STDOUT

#: What a child sees when the caller names no environment: never ours, which may hold keys and passwords.
CLEAN_ENV: Mapping[str, str] = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}

_STDERR_TAIL_LINES = 40
_STDERR_LINE_BYTES = 2000
_READ_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Completed:
    """How a program ended: `code` is negative for a signal; `stdout` holds at most what the caller asked to keep."""

    code: int
    stdout: bytes
    stdout_truncated: bool
    stderr_tail: str


@asynccontextmanager
async def child(
    argv: Sequence[str | Path],
    *,
    stdin: int | IO[Any] = DEVNULL,
    stdout: int | IO[Any] = PIPE,
    stderr: int | IO[Any] = PIPE,
    pass_fds: Sequence[int] = (),
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    user: int | None = None,
    group: int | None = None,
    grace_s: float = 5.0,
    limit: int = _READ_BYTES,
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A running program whose whole process group is dead when the block is left, however it is left.

    The end is SIGTERM, `grace_s` seconds of patience, then SIGKILL. `env` None means `CLEAN_ENV`, not ours.
    `limit` bounds one line (bytes) of the stream readers. Raises TaskFailed if the program cannot be started.
    """
    proc = await _spawn(
        argv,
        limit=limit,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        pass_fds=tuple(pass_fds),
        env=dict(CLEAN_ENV if env is None else env),
        cwd=cwd,
        user=user,
        group=group,
        # Naming a user without this would leave root's supplementary groups in place.
        extra_groups=[] if user is not None else None,
        # Its own session: a Ctrl-C at our terminal reaches us alone, and the group can be signalled as one.
        start_new_session=True,
    )
    try:
        yield proc
    finally:
        await _end(proc, grace_s)


async def _spawn(argv: Sequence[str | Path], *, limit: int, **options: Any) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(*map(str, argv), limit=limit, **options)
    except OSError as error:
        raise TaskFailed(
            f"{argv[0]} could not be started: {error.strerror}", evidence={"argv": [str(part) for part in argv]}
        ) from error


async def _end(proc: asyncio.subprocess.Process, grace_s: float) -> None:
    try:
        if proc.returncode is None:
            _signal_group(proc, signal.SIGTERM)
            async with asyncio.timeout(grace_s):
                await _exited(proc)
    except TimeoutError:
        pass
    finally:
        # A second cancellation lands in the wait above; this inner block still runs, and does not wait for grace.
        # The group is signalled even when its leader is gone, for what the leader may have left behind.
        _signal_group(proc, signal.SIGKILL)
        transport: asyncio.SubprocessTransport = proc._transport  # type: ignore[attr-defined]  # noqa: SLF001 - there is no public way to it
        try:
            # Output that nobody reads would keep the transport alive, and in some Pythons the wait below too.
            for number in range(3):
                if (pipe := transport.get_pipe_transport(number)) is not None:
                    pipe.close()
            if proc.returncode is None:
                await proc.wait()
        finally:
            # Only now: closing polls, and would take the exit code away from the loop's own child watcher.
            transport.close()


async def _exited(proc: asyncio.subprocess.Process) -> None:
    """Wait for the exit while draining what nobody reads any more: a child blocked in write() cannot say goodbye."""
    async with asyncio.TaskGroup() as group:
        for stream in (proc.stdout, proc.stderr):
            if stream is not None:
                group.create_task(_drain(stream))
        await proc.wait()


async def _drain(stream: asyncio.StreamReader) -> None:
    # RuntimeError: another task of the caller is still reading this stream, so it is being drained already.
    with suppress(RuntimeError):
        while await stream.read(_READ_BYTES):
            pass


def _signal_group(proc: asyncio.subprocess.Process, number: signal.Signals) -> None:
    # PermissionError: the group has left our reach by changing its user; its leader is still ours to wait for.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(proc.pid, number)


async def run(
    argv: Sequence[str | Path],
    *,
    timeout_s: float,
    max_output_bytes: int = 1024 * 1024,
    stdin_data: bytes | None = None,
    pass_fds: Sequence[int] = (),
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    user: int | None = None,
    group: int | None = None,
    grace_s: float = 5.0,
) -> Completed:
    """Run a program to its end. A non-zero exit is the caller's to judge.

    Output past `max_output_bytes` is read and dropped. Raises TaskFailed after `timeout_s` or if it cannot start.
    """
    stdin = DEVNULL if stdin_data is None else PIPE
    started = child(argv, stdin=stdin, pass_fds=pass_fds, env=env, cwd=cwd, user=user, group=group, grace_s=grace_s)
    kept = bytearray()
    tail: deque[str] = deque(maxlen=_STDERR_TAIL_LINES)
    async with started as proc:
        try:
            async with asyncio.timeout(timeout_s), asyncio.TaskGroup() as tasks:
                tasks.create_task(_feed(proc, stdin_data))
                truncated = tasks.create_task(_keep(proc, kept, max_output_bytes))
                tasks.create_task(_tail(proc, tail))
            async with asyncio.timeout(timeout_s):
                code = await proc.wait()
        except TimeoutError as error:
            raise TaskFailed(
                f"{Path(argv[0]).name} did not finish within {timeout_s:g} s",
                evidence={"argv": [str(part) for part in argv], "stderr_tail": "\n".join(tail)},
            ) from error
    return Completed(code, bytes(kept), truncated.result(), "\n".join(tail))


async def _feed(proc: asyncio.subprocess.Process, data: bytes | None) -> None:
    if proc.stdin is None or data is None:
        return
    # A program may stop reading early; its exit code tells more than our broken pipe.
    with suppress(BrokenPipeError, ConnectionResetError):
        proc.stdin.write(data)
        await proc.stdin.drain()
    proc.stdin.close()


async def _keep(proc: asyncio.subprocess.Process, kept: bytearray, max_bytes: int) -> bool:
    """Read stdout to its end into `kept`; True if something had to be dropped."""
    assert proc.stdout is not None
    dropped = False
    while piece := await proc.stdout.read(_READ_BYTES):
        room = max_bytes - len(kept)
        kept += piece[:room]
        dropped = dropped or len(piece) > room
    return dropped


async def _tail(proc: asyncio.subprocess.Process, tail: deque[str]) -> None:
    """Read stderr to its end, keeping the last lines; a line without an end cannot fill the memory."""
    assert proc.stderr is not None
    rest = b""
    while piece := await proc.stderr.read(_READ_BYTES):
        *lines, rest = (rest + piece).replace(b"\r", b"\n").split(b"\n")
        tail.extend(line[:_STDERR_LINE_BYTES].decode(errors="replace") for line in lines if line.strip())
        rest = rest[:_STDERR_LINE_BYTES]
    if rest.strip():
        tail.append(rest.decode(errors="replace"))
