"""Runs tasks on a cluster: waits for room, places by first-fit decreasing, hands back what a task says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from vidcompute import wire
from vidcompute.cluster.base import Cluster
from vidcompute.domain.placement import Demand, place
from vidcompute.domain.task import Resources, TaskEvent, TaskEventKind, TaskSpec
from vidcompute.errors import LimitExceeded, Problem, VidcomputeError, WorkerLost, from_problem
from vidcompute.monitor import Metrics, get_logger

#: Events of one task that may wait for its reader.
_BACKLOG = 1024
#: What a task gets between SIGTERM and SIGKILL: nothing it holds needs longer, and a stopping service has 5 s.
STOP_GRACE_S = 1.0
#: Losses of one task before its job's attempt fails: a poison input must not crash workers for ever.
MAX_LOSSES = 3


@dataclass(slots=True)
class _Waiting:
    spec: TaskSpec
    band: int
    since_s: float
    events: asyncio.Queue[TaskEvent] = field(default_factory=lambda: asyncio.Queue(_BACKLOG))
    node_id: str | None = None


class TaskScheduler:
    """One per worker process. `run()` must be running for `execute()` to make progress."""

    def __init__(self, cluster: Cluster, *, metrics: Metrics, clock: Callable[[], float]) -> None:
        """`clock` is monotonic seconds."""
        self._cluster = cluster
        self._metrics = metrics
        self._clock = clock
        self._tasks: dict[str, _Waiting] = {}
        self._changed = asyncio.Event()
        self._log = get_logger("scheduler")

    @property
    def waiting(self) -> int:
        """Tasks that no node had room for yet."""
        return sum(1 for task in self._tasks.values() if task.node_id is None)

    async def biggest(self) -> Resources:
        """The largest node's resources; what one task can use at most."""
        nodes = [node.total for node in await self._cluster.nodes() if node.alive]
        return max(nodes, key=lambda total: (total.cpu, total.memory_bytes), default=Resources())

    async def run(self) -> None:
        """Place what waits and deliver what tasks say, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._deliver())
            group.create_task(self._place_when_changed())

    async def execute(self, spec: TaskSpec, *, band: int, hear: Callable[[TaskEvent], None]) -> dict[str, object]:
        """Run `spec` to its end and return its result; `hear` gets every event on the way.

        A lost task is placed again, MAX_LOSSES times at most. On cancellation its process tree is dead
        when this returns. Raises the task's own error, WorkerLost, or LimitExceeded if no node is big enough.
        """
        final = TaskEvent(spec.id, TaskEventKind.LOST)
        for loss in range(1, MAX_LOSSES + 1):
            final = await self._once(spec, band, hear)
            if final.kind is TaskEventKind.DONE:
                return dict(final.data)
            if final.kind is TaskEventKind.FAILED:
                raise from_problem(wire.parse(Problem, final.data))
            self._metrics.tasks_lost.labels(spec.kind.value).inc()
            self._log.warning("task.lost", task_id=spec.id, job_id=spec.job_id, key=spec.key, loss=loss, **final.data)
        raise WorkerLost(
            f"task {spec.key} was lost {MAX_LOSSES} times: {final.data.get('reason', 'its process vanished')}",
            evidence=dict(final.data),
        )

    async def _once(self, spec: TaskSpec, band: int, hear: Callable[[TaskEvent], None]) -> TaskEvent:
        waiting = _Waiting(spec, band, self._clock())
        self._tasks[spec.id] = waiting
        self._changed.set()
        started = self._clock()
        try:
            while True:
                event = await waiting.events.get()
                hear(event)
                if event.kind.final:
                    return event
        finally:
            self._metrics.stage_duration.labels(spec.kind.value).observe(self._clock() - started)
            if waiting.node_id is not None:
                await self._cluster.stop(spec.id, grace_s=STOP_GRACE_S)
            self._tasks.pop(spec.id, None)
            self._changed.set()

    async def _deliver(self) -> None:
        async for event in self._cluster.events():
            task = self._tasks.get(event.task_id)
            if task is None:
                continue
            # A slow reader must not hold up the others: progress may be dropped, the rest may not.
            if event.kind is TaskEventKind.PROGRESS and task.events.qsize() > _BACKLOG // 2:
                continue
            await task.events.put(event)
            if event.kind.final:
                self._changed.set()

    async def _place_when_changed(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            await self._place()

    async def _place(self) -> None:
        demands = [
            Demand(task.spec.id, task.spec.resources, task.band, task.since_s)
            for task in self._tasks.values()
            if task.node_id is None
        ]
        if not demands:
            await self._cluster.want([])
            return
        result = place(demands, await self._cluster.nodes(), now_s=self._clock())
        await self._cluster.want([demand.need for demand in result.waiting])
        for demand in result.impossible:
            self._refuse(demand)
        for placement in result.placements:
            await self._start(placement.task_id, placement.node_id)
        self._metrics.worker_slots.labels("running").set(len(self._tasks) - self.waiting)
        self._metrics.worker_slots.labels("waiting").set(self.waiting)

    async def _start(self, task_id: str, node_id: str) -> None:
        task = self._tasks.get(task_id)
        if task is None:
            return
        task.node_id = node_id
        try:
            await self._cluster.start(task.spec, node_id)
        except VidcomputeError as error:
            task.node_id = None
            await task.events.put(TaskEvent(task_id, TaskEventKind.LOST, {"reason": error.detail}))

    def _refuse(self, demand: Demand) -> None:
        need = demand.need
        error = LimitExceeded(
            f"no node is big enough: the task needs {need.cpu:g} CPU, {need.gpu:g} GPU, {need.memory_bytes} bytes",
            hint="Add a larger node, or lower the task's needs.",
        )
        task = self._tasks[demand.task_id]
        task.events.put_nowait(TaskEvent(demand.task_id, TaskEventKind.FAILED, wire.plain(error.problem())))
