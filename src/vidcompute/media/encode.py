"""Runs ffmpeg in the box: reads its progress, drains its stderr, and judges its exit."""

from __future__ import annotations

import asyncio
import os
import resource
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vidcompute.errors import TaskFailed
from vidcompute.media.flags import Command
from vidcompute.media.progress import Progress, ProgressParser
from vidcompute.media.stderr import Stderr, failure
from vidcompute.sandbox.layers import boxed_argv
from vidcompute.sandbox.policy import BoxPolicy
from vidcompute.sandbox.process import child
from vidcompute.sandbox.verdict import verdict

_READ_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class EncodeResult:
    """An encode that ended well by its own word; whether its outputs are good is for the verifier to say.

    `cpu_s` and `max_rss_bytes` are of all children of this process that ended meanwhile (a task runs one at a time).
    """

    frames: int
    #: Lines that named an error: what could not be decoded. Not one is a promise, a thousand is not a failure.
    error_lines: int
    stderr_tail: str
    cpu_s: float
    max_rss_bytes: int


async def run_ffmpeg(
    command: Command,
    *,
    policy: BoxPolicy,
    cwd: Path,
    on_progress: Callable[[Progress], None],
    timeout_s: float,
    pass_fds: Sequence[int] = (),
) -> EncodeResult:
    """Runs `command` in `cwd`, which the box must be able to write.

    Raises what ffmpeg's exit means (EncoderFailed, UnsupportedMedia, StorageFull, LimitExceeded …), with the command
    line in a form that can be pasted, the exit code and the last lines of stderr as evidence.
    """
    # Whoever read the source before us (a hash, a probe) has moved the offset that `fd:` begins at.
    os.lseek(command.input_fd, 0, os.SEEK_SET)
    before = _usage()
    stderr, last = Stderr(), Progress(frame=0, fps=0.0, speed=0.0, out_time_s=0.0)
    reports = _Reports(on_progress, last)
    fds = tuple(dict.fromkeys([*command.fds, *pass_fds]))
    async with child(boxed_argv(command.argv, policy), pass_fds=fds, cwd=cwd) as proc:
        assert proc.stdout is not None
        assert proc.stderr is not None
        try:
            async with asyncio.timeout(timeout_s):
                async with asyncio.TaskGroup() as group:
                    group.create_task(_each(proc.stdout, reports.feed))
                    group.create_task(_each(proc.stderr, stderr.feed))
                code = await proc.wait()
        except TimeoutError as error:
            evidence = {"argv": shlex.join(command.argv), "stderr_tail": stderr.text()}
            raise TaskFailed(f"The encoder did not finish within {timeout_s:g} s.", evidence=evidence) from error
    stderr.close()
    _judge(code, command, policy, stderr)
    after = _usage()
    return EncodeResult(
        frames=reports.last.frame,
        error_lines=stderr.errors,
        stderr_tail=stderr.text(),
        cpu_s=after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        max_rss_bytes=after.ru_maxrss * 1024,
    )


@dataclass(slots=True)
class _Reports:
    on_progress: Callable[[Progress], None]
    last: Progress
    parser: ProgressParser = field(default_factory=ProgressParser)

    def feed(self, data: bytes) -> None:
        for report in self.parser.feed(data):
            self.last = report
            self.on_progress(report)


async def _each(stream: asyncio.StreamReader, feed: Callable[[bytes], None]) -> None:
    while data := await stream.read(_READ_BYTES):
        feed(data)


def _judge(code: int, command: Command, policy: BoxPolicy, stderr: Stderr) -> None:
    if code == 0:
        return
    # The box's own word first: a missing layer, a limit, a crash. What is left is ffmpeg's.
    boxed = verdict(code, policy, what="The encoder", stderr_tail=stderr.text())
    if boxed is not None:
        boxed.evidence["argv"] = shlex.join(command.argv)
        raise boxed
    raise failure(code, stderr, argv=shlex.join(command.argv))


def _usage() -> resource.struct_rusage:
    return resource.getrusage(resource.RUSAGE_CHILDREN)
