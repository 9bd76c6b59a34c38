"""The boxed analyst beside an encode: forked first, fed by a pipe, and never able to take the encode down."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from vidcompute import wire
from vidcompute.analysis import table
from vidcompute.analysis.analyst import analyse
from vidcompute.domain.frames import Anchor
from vidcompute.domain.plan import AnalysisPlan
from vidcompute.errors import TaskFailed, VidcomputeError
from vidcompute.sandbox.channel import Channel
from vidcompute.sandbox.fork import BoxedChild, fork_boxed
from vidcompute.sandbox.policy import prepare_scratch
from vidcompute.tasks.box import python_policy
from vidcompute.tasks.environment import Task

#: One picture is 345 kB: with a pipe of one megabyte the encoder need not wait for each read.
_PIPE_BYTES = 1 << 20
_TABLE = "frames.json.gz"


class Analyst:
    """Forked at once, boxed, waiting for its pipe. `folder` is the only place where it may write."""

    def __init__(self, task: Task, plan: AnalysisPlan, folder: Path) -> None:
        """Call this before the task has threads; `folder` must not exist yet."""
        policy = python_policy(task, folder, cpu_s=int(task.spec.timeout_s * 2))
        prepare_scratch(folder, policy)
        self.folder = folder

        def entry(channel: Channel) -> None:
            _, (descriptor,) = channel.receive()
            frames = analyse(descriptor, plan, Path(), emit=lambda anchor: channel.send({"anchor": wire.plain(anchor)}))
            Path(_TABLE).write_bytes(table.save(frames))

        before = Path.cwd()
        # The child inherits the folder as its working directory: its user may not be able to walk to it.
        os.chdir(folder)
        try:
            self._child: BoxedChild = fork_boxed(entry, policy, what="the analyst")
        finally:
            os.chdir(before)

    @property
    def table_path(self) -> Path:
        """The frame table, once `run` has returned None."""
        return self.folder / _TABLE

    async def run(self, pipe: int, hear: Callable[[Anchor], Awaitable[None]]) -> VidcomputeError | None:
        """Let it read `pipe` to its end; `hear` gets every anchor. Its error, if it failed: the encode goes on.

        Takes `pipe` and closes it. After a failure what still comes is read and dropped, because an encoder
        whose analysis output nobody reads would stop.
        """
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        async with self._child as child:
            try:
                await child.send({}, fds=[pipe])
                while (message := await child.receive()) is not None:
                    await hear(wire.parse(Anchor, message["anchor"]))
            except VidcomputeError as error:
                await _drop(pipe)
                return error
            finally:
                os.close(pipe)
        return None if self.table_path.exists() else TaskFailed("the analyst ended without its frame table")


async def _drop(pipe: int) -> None:
    """Read `pipe` to its end."""
    os.set_blocking(pipe, False)
    loop = asyncio.get_running_loop()
    ended = loop.create_future()

    def read() -> None:
        try:
            while os.read(pipe, _PIPE_BYTES):
                pass
        except BlockingIOError:
            return
        except OSError:
            pass
        if not ended.done():
            ended.set_result(None)

    loop.add_reader(pipe, read)
    try:
        await ended
    finally:
        loop.remove_reader(pipe)
