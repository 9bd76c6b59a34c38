"""The cluster that is this machine: every task a process forked from a zygote."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from vidcompute import wire
from vidcompute.cluster import machine
from vidcompute.cluster.feed import Feed
from vidcompute.cluster.forkserver import ForkServer
from vidcompute.cluster.lastword import Verdict, last_word
from vidcompute.domain.placement import Node
from vidcompute.domain.task import Resources, TaskEvent, TaskEventKind, TaskSpec
from vidcompute.errors import Conflict, TaskFailed, WorkerLost

ENTRY = "vidcompute.tasks.main:run"


@dataclass(slots=True)
class _Running:
    spec: TaskSpec
    #: None until it is handed to the zygote.
    feed: Feed | None = None
    #: Done once the process exists; fails with WorkerLost if it never will.
    began: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    #: Set when the whole tree is dead and the final event is on its way.
    over: asyncio.Event = field(default_factory=asyncio.Event)
    verdict: Verdict | None = None
    alarm: asyncio.TimerHandle | None = None


def _nothing_left(task_id: str) -> None:
    """What is done after a task where nobody asked for anything."""


def _silent(event: str, **_: Any) -> None:
    pass


class LocalCluster:
    """cluster.base.Cluster on this machine's CPU, memory and GPUs; for one event loop.

    `kill -9` of this process kills the zygote and every task, by the kernel; what a task started dies with it.
    `events()` is for one reader. Call `close()` in the end.
    """

    def __init__(
        self,
        *,
        node_id: str = "local",
        resources: Resources | None = None,
        environment: dict[str, Any],
        entry: str = ENTRY,
        preload: Sequence[str] = (),
        process_env: Mapping[str, str] | None = None,
        grace_s: float = 5.0,
        notice: Callable[..., None] = _silent,
        tidy: Callable[[str], None] = _nothing_left,
    ) -> None:
        """`resources` None means what the machine gives us.

        `environment` (JSON) goes to every task in a memory file, never in argv or environment variables; the zygote
        does not see it. `entry` is "module:function", called in the task with (spec, environment, emit).
        `preload` are modules that tasks need. `process_env` are the environment variables of the processes, None for
        a clean few. `grace_s` bounds `close()` where something does not even die of SIGKILL.
        `notice(event, **fields)` hears what an operator should know (a structlog logger's `warning`).
        `tidy(task_id)` is called when a task's whole tree is dead, before its final event: a killed task cannot
        clean up after itself.
        """
        self._node_id = node_id
        self._total = resources or machine.detect()
        self._environment = json.dumps(environment).encode()
        self._entry = entry
        self._preload = tuple(preload)
        self._process_env = process_env
        self._grace_s = grace_s
        self._notice = notice
        self._tidy = tidy
        self._running: dict[str, _Running] = {}
        self._said: deque[tuple[TaskEvent, Feed, int]] = deque()
        self._news = asyncio.Event()
        self._server: ForkServer | None = None
        self._launching = asyncio.Lock()
        self._closed = False

    async def nodes(self) -> list[Node]:
        """This machine; free is what no running task has claimed."""
        needs = [running.spec.resources for running in self._running.values()]
        free = Resources(
            cpu=max(0.0, self._total.cpu - sum(need.cpu for need in needs)),
            gpu=max(0.0, self._total.gpu - sum(need.gpu for need in needs)),
            memory_bytes=max(0, self._total.memory_bytes - sum(need.memory_bytes for need in needs)),
        )
        return [Node(self._node_id, self._total, free, alive=not self._closed)]

    async def open(self) -> None:
        """Start the zygote, so that the first task need not wait for its modules. `start` does it if need be."""
        await self._fork_server()

    async def start(self, task: TaskSpec, node_id: str) -> None:
        """See Cluster. Claims the resources, room or not. Raises Conflict while a task of that id runs."""
        if node_id != self._node_id:
            raise WorkerLost(f"node {node_id!r} is not here: this is {self._node_id!r}")
        if task.id in self._running:
            raise Conflict(f"task {task.id} is running already")
        running = self._running[task.id] = _Running(task)
        try:
            self._hand_over(running, await self._fork_server())
        except BaseException:
            self._forget(running)
            raise
        try:
            await running.began
        except asyncio.CancelledError:
            # Nobody knows of it now, so nobody would stop it.
            running.verdict = Verdict.STOPPED
            self._signal(running, signal.SIGKILL)
            raise

    async def events(self) -> AsyncIterator[TaskEvent]:
        """See Cluster. Ends after `close`."""
        while True:
            while self._said:
                event, feed, weight = self._said.popleft()
                feed.consumed(weight)
                yield event
            if self._closed:
                return
            self._news.clear()
            await self._news.wait()

    async def stop(self, task_id: str, *, grace_s: float = 5.0) -> None:
        """See Cluster. The final event is on its way when this returns, and the id may be started again."""
        running = self._running.get(task_id)
        if running is None:
            return
        running.verdict = running.verdict or Verdict.STOPPED
        try:
            self._signal(running, signal.SIGTERM)
            async with asyncio.timeout(grace_s):
                await running.over.wait()
        except TimeoutError:
            pass
        finally:
            # Also when we are cancelled: what was asked to end must not live on because nobody waits for it.
            if not running.over.is_set():
                self._signal(running, signal.SIGKILL)
        await running.over.wait()

    async def want(self, demand: Sequence[Resources]) -> None:
        """See Cluster. This machine does not grow."""

    async def close(self) -> None:
        """See Cluster. May be called again, and after having been cancelled."""
        self._closed = True
        for running in self._running.values():
            running.verdict = running.verdict or Verdict.STOPPED
        try:
            async with self._launching:
                if self._server is not None:
                    await self._server.close()
        finally:
            self._all_lost()
            self._news.set()

    async def _fork_server(self) -> ForkServer:
        """The living zygote, started if there is none."""
        async with self._launching:
            if self._closed:
                raise WorkerLost(f"node {self._node_id!r} is closed")
            if self._server is not None and not self._server.ended:
                return self._server
            if self._server is not None:
                await self._server.close()
            self._server = server = ForkServer(on_message=self._heard, on_end=self._zygote_ended, grace_s=self._grace_s)
            try:
                await server.launch(entry=self._entry, preload=self._preload, env=self._process_env)
            except TaskFailed as error:
                await server.close()
                raise WorkerLost(f"no task can be started: {error.detail}", evidence=error.evidence) from error
            except BaseException:
                await server.close()
                raise
            return server

    def _hand_over(self, running: _Running, server: ForkServer) -> None:
        """Send the zygote what it needs to fork the task: its order, and where it speaks."""
        if running.verdict is not None:
            raise WorkerLost(f"task {running.spec.id} did not begin: {running.verdict.value}")
        with ExitStack() as undo:
            try:
                order_fd, *pipes = self._open_fds(running.spec, undo)
            except OSError as error:
                raise WorkerLost(f"task {running.spec.id} cannot be started: {error.strerror}") from error
            undo.pop_all()
        events_fd, events_writer, output_fd, output_writer = pipes
        for reader in (events_fd, output_fd):
            os.set_blocking(reader, False)
        running.feed = feed = Feed(
            running.spec.id, events_fd, output_fd, lambda event, weight: self._say(event, feed, weight)
        )
        server.post({"op": "start", "task": running.spec.id}, fds=(order_fd, events_writer, output_writer))

    def _open_fds(self, task: TaskSpec, undo: ExitStack) -> list[int]:
        """The order, and both ends of the event pipe and of the output pipe."""
        # A memory file with spec and environment, a line each: no size limit, no blocking, nothing on disk.
        order_fd = os.memfd_create("vidcompute-task")
        undo.callback(os.close, order_fd)
        with open(order_fd, "wb", closefd=False) as order:
            order.write(wire.dumps(task) + b"\n" + self._environment)
        os.lseek(order_fd, 0, os.SEEK_SET)
        fds = [order_fd]
        for _ in ("events", "output"):
            pipe = os.pipe()
            for fd in pipe:
                undo.callback(os.close, fd)
            fds += pipe
        return fds

    def _heard(self, message: dict[str, Any]) -> None:
        """Act on a message of the zygote."""
        if message["op"] == "ready":
            self._judge_preload(message)
            return
        running = self._running.get(message["task"])
        if running is None:
            return
        if message["op"] == "started":
            self._began(running, message["pid"])
        elif message["op"] == "refused":
            self._never_began(running, message["reason"])
        else:
            self._ended(running, message["status"])

    def _judge_preload(self, message: dict[str, Any]) -> None:
        for module, error in message["failed"].items():
            self._notice("zygote.preload_failed", module=module, error=error)
        if message["threads"] > 1:
            # Forking a process with threads may copy a lock that nobody will ever release.
            self._notice("zygote.has_threads", threads=message["threads"])

    def _began(self, running: _Running, pid: int) -> None:
        assert running.feed is not None
        self._say(TaskEvent(running.spec.id, TaskEventKind.STARTED, {"pid": pid}), running.feed, 0)
        running.feed.start()
        running.alarm = asyncio.get_running_loop().call_later(running.spec.timeout_s, self._overdue, running)
        if not running.began.done():
            running.began.set_result(None)

    def _never_began(self, running: _Running, reason: str) -> None:
        if running.feed is not None:
            running.feed.finish()
        if not running.began.done():
            running.began.set_exception(WorkerLost(f"task {running.spec.id} could not be started: {reason}"))
        self._forget(running)

    def _ended(self, running: _Running, status: int | None) -> None:
        """The task's whole tree is dead: read its last words and publish the final event."""
        assert running.feed is not None
        running.feed.finish()
        tail = running.feed.output_tail
        self._tidy(running.spec.id)
        final = running.feed.final or last_word(running.spec, verdict=running.verdict, status=status, output_tail=tail)
        self._forget(running)
        self._say(final, running.feed, 0)

    def _forget(self, running: _Running) -> None:
        del self._running[running.spec.id]
        if running.alarm is not None:
            running.alarm.cancel()
        running.over.set()

    def _overdue(self, running: _Running) -> None:
        running.verdict = running.verdict or Verdict.OVERDUE
        self._signal(running, signal.SIGKILL)

    def _zygote_ended(self) -> None:
        self._notice("zygote.ended", lost_tasks=len(self._running))
        self._all_lost()

    def _all_lost(self) -> None:
        for running in list(self._running.values()):
            if running.alarm is not None:
                self._ended(running, None)
            elif running.feed is not None:
                self._never_began(running, "the process that starts tasks ended")

    def _signal(self, running: _Running, number: signal.Signals) -> None:
        if self._server is not None:
            self._server.post({"op": "signal", "task": running.spec.id, "signal": int(number)})

    def _say(self, event: TaskEvent, feed: Feed, weight: int) -> None:
        self._said.append((event, feed, weight))
        self._news.set()
