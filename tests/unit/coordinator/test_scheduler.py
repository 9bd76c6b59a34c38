"""The scheduler places tasks where there is room, hears them out, and puts lost ones back."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from prometheus_client import CollectorRegistry

from vidcompute import wire
from vidcompute.coordinator.scheduler import MAX_LOSSES, TaskScheduler
from vidcompute.domain.placement import Node
from vidcompute.domain.task import Resources, TaskEvent, TaskEventKind, TaskKind, TaskSpec
from vidcompute.errors import LimitExceeded, NoVideo, WorkerLost
from vidcompute.monitor import Metrics


class ScriptedCluster:
    """One node; each start plays the next script of its task: a list of events, or None to run until stopped."""

    def __init__(self, cpu: float = 2.0) -> None:
        self.total = Resources(cpu=cpu, memory_bytes=8 << 30)
        self.scripts: dict[str, list[list[TaskEvent] | None]] = {}
        self.running: dict[str, Resources] = {}
        self.most_at_once = 0
        self.stopped: list[str] = []
        self.started = asyncio.Event()
        self._said: asyncio.Queue[TaskEvent] = asyncio.Queue()

    async def nodes(self) -> list[Node]:
        used = sum(need.cpu for need in self.running.values())
        free = Resources(cpu=self.total.cpu - used, memory_bytes=self.total.memory_bytes)
        return [Node("here", self.total, free)]

    async def start(self, task: TaskSpec, node_id: str) -> None:
        self.running[task.id] = task.resources
        self.most_at_once = max(self.most_at_once, len(self.running))
        self.started.set()
        script = self.scripts[task.id].pop(0)
        for event in script or []:
            if event.kind.final:
                self.running.pop(task.id, None)
            await self._said.put(event)

    async def events(self) -> AsyncIterator[TaskEvent]:
        while True:
            yield await self._said.get()

    async def stop(self, task_id: str, *, grace_s: float = 5.0) -> None:
        if self.running.pop(task_id, None) is not None:
            self.stopped.append(task_id)

    async def want(self, demand: Sequence[Resources]) -> None:
        return None

    async def close(self) -> None:
        self.running.clear()


def spec(name: str, cpu: float = 1.0) -> TaskSpec:
    return TaskSpec(name, "job_1", "default", 1, TaskKind.CHUNK, name, resources=Resources(cpu=cpu))


def said(name: str, kind: TaskEventKind, **data: object) -> TaskEvent:
    return TaskEvent(name, kind, data)


@pytest.fixture
def cluster() -> ScriptedCluster:
    return ScriptedCluster()


@pytest.fixture
async def scheduler(cluster: ScriptedCluster) -> AsyncIterator[TaskScheduler]:
    made = TaskScheduler(cluster, metrics=Metrics(CollectorRegistry()), clock=lambda: 0.0)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(made.run())
        yield made
        running.cancel()


async def test_a_task_is_heard_in_order_and_its_result_returned(cluster: ScriptedCluster, scheduler: TaskScheduler):
    cluster.scripts["a"] = [[said("a", TaskEventKind.PROGRESS, frame=1), said("a", TaskEventKind.DONE, frames=7)]]
    heard: list[TaskEvent] = []

    result = await scheduler.execute(spec("a"), band=1, hear=heard.append)

    assert result == {"frames": 7}
    assert [event.kind for event in heard] == [TaskEventKind.PROGRESS, TaskEventKind.DONE]


async def test_more_tasks_than_room_run_one_after_the_other(cluster: ScriptedCluster, scheduler: TaskScheduler):
    names = ["a", "b", "c"]
    for name in names:
        cluster.scripts[name] = [[said(name, TaskEventKind.DONE)]]

    async with asyncio.TaskGroup() as group:
        for name in names:
            group.create_task(scheduler.execute(spec(name, cpu=2.0), band=1, hear=lambda _: None))

    assert cluster.most_at_once == 1


async def test_a_failed_task_raises_its_own_error(cluster: ScriptedCluster, scheduler: TaskScheduler):
    problem = wire.plain(NoVideo("only sound in there").problem())
    cluster.scripts["a"] = [[said("a", TaskEventKind.FAILED, **problem)]]

    with pytest.raises(NoVideo, match="only sound"):
        await scheduler.execute(spec("a"), band=1, hear=lambda _: None)


async def test_a_lost_task_is_placed_again(cluster: ScriptedCluster, scheduler: TaskScheduler):
    lost = said("a", TaskEventKind.LOST, reason="killed by signal 9")
    cluster.scripts["a"] = [[lost], [said("a", TaskEventKind.DONE, ok=True)]]

    assert await scheduler.execute(spec("a"), band=1, hear=lambda _: None) == {"ok": True}


async def test_a_task_that_is_lost_every_time_fails_with_the_reason(cluster: ScriptedCluster, scheduler: TaskScheduler):
    lost = said("a", TaskEventKind.LOST, reason="killed by signal 11")
    cluster.scripts["a"] = [[lost] for _ in range(MAX_LOSSES)]

    with pytest.raises(WorkerLost, match="killed by signal 11"):
        await scheduler.execute(spec("a"), band=1, hear=lambda _: None)


async def test_cancelling_a_task_stops_it_on_the_cluster(cluster: ScriptedCluster, scheduler: TaskScheduler):
    cluster.scripts["a"] = [None]
    async with asyncio.TaskGroup() as group:
        task = group.create_task(scheduler.execute(spec("a"), band=1, hear=lambda _: None))
        await cluster.started.wait()
        task.cancel()

    assert cluster.stopped == ["a"]


async def test_a_task_that_fits_no_node_is_refused_at_once(cluster: ScriptedCluster, scheduler: TaskScheduler):
    with pytest.raises(LimitExceeded, match="no node is big enough"):
        await scheduler.execute(spec("a", cpu=64.0), band=1, hear=lambda _: None)
