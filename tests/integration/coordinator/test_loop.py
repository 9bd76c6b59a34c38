"""The worker role over a real store and queue: what it takes, what it leaves, what it gives up on."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from prometheus_client import CollectorRegistry

from tests.unit.coordinator.test_scheduler import ScriptedCluster
from vidcompute.coordinator.loop import MAX_TAKEOVERS, Coordinator, LoopSettings
from vidcompute.coordinator.scheduler import TaskScheduler
from vidcompute.coordinator.settle import Settler
from vidcompute.domain.job import Job, JobSpec, JobStatus, Priority
from vidcompute.domain.retry import Backoff
from vidcompute.errors import NoVideo, StoreDown
from vidcompute.monitor import Metrics
from vidcompute.queue.base import EntryState
from vidcompute.queue.memory import MemoryQueue
from vidcompute.store.jobs import JobStore

TENANT = "default"


class Scripted:
    """Stands in for JobRun: does what it was told."""

    def __init__(self, error: Exception | None = None, gate: asyncio.Event | None = None) -> None:
        self.started = asyncio.Event()
        self._error = error
        self._gate = gate

    async def run(self) -> None:
        self.started.set()
        if self._gate is not None:
            await self._gate.wait()
        if self._error is not None:
            raise self._error


@pytest.fixture
def queue() -> MemoryQueue:
    return MemoryQueue(
        backoff=Backoff(base_s=0.01, cap_s=0.02, max_failures=4),
        clock=time.time,
        random=random.random,
        max_deliveries=64,
    )


@asynccontextmanager
async def working(
    job_store: JobStore, queue: MemoryQueue, script: Scripted, *, lease_s: float = 30.0
) -> AsyncIterator[asyncio.Event]:
    metrics = Metrics(CollectorRegistry())
    settler = Settler(
        jobs=job_store,
        queue=queue,
        backoff=Backoff(base_s=0.01, cap_s=0.02, max_failures=4),
        metrics=metrics,
        now=lambda: datetime.now(UTC),
        random=random.random,
    )
    coordinator = Coordinator(
        queue=queue,
        jobs=job_store,
        scheduler=TaskScheduler(ScriptedCluster(), metrics=metrics, clock=lambda: 0.0),
        settler=settler,
        start=lambda _: script,
        settings=LoopSettings(node="here", lease_s=lease_s, max_jobs=2),
        metrics=metrics,
        now=lambda: datetime.now(UTC),
    )
    stopping = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(coordinator.run(stopping))
        yield stopping
        stopping.set()


async def submitted(job_store: JobStore, queue: MemoryQueue) -> Job:
    job, _ = await job_store.create(tenant_id=TENANT, spec=JobSpec(input="file:///a", max_attempts=2), name="a")
    await queue.enqueue(job.id, priority=Priority.NORMAL)
    return job


async def until(job_store: JobStore, job_id: str, status: JobStatus) -> Job:
    async with asyncio.timeout(20):
        while (job := await job_store.get(TENANT, job_id)).status is not status:  # noqa: ASYNC110 - the only witness
            await asyncio.sleep(0.01)
    return job


async def test_a_job_that_runs_through_succeeds_and_leaves_the_queue(job_store: JobStore, queue: MemoryQueue):
    job = await submitted(job_store, queue)

    async with working(job_store, queue, Scripted()):
        await until(job_store, job.id, JobStatus.SUCCEEDED)

    assert await queue.state(job.id) is EntryState.GONE


async def test_bad_input_is_never_tried_twice(job_store: JobStore, queue: MemoryQueue):
    job = await submitted(job_store, queue)

    async with working(job_store, queue, Scripted(NoVideo("only sound"))):
        ended = await until(job_store, job.id, JobStatus.FAILED)

    assert (ended.attempt, ended.dead_letter, ended.error and ended.error["code"]) == (1, False, "no_video")
    assert await queue.state(job.id) is EntryState.GONE


async def test_a_passing_failure_is_retried_and_buried_when_the_tries_are_used_up(
    job_store: JobStore, queue: MemoryQueue
):
    job = await submitted(job_store, queue)

    async with working(job_store, queue, Scripted(StoreDown("away"))):
        ended = await until(job_store, job.id, JobStatus.FAILED)

    assert (ended.attempt, ended.failures, ended.dead_letter) == (2, 2, True)
    assert await queue.state(job.id) is EntryState.DEAD


async def test_a_bug_is_told_retried_and_buried(job_store: JobStore, queue: MemoryQueue):
    job = await submitted(job_store, queue)

    async with working(job_store, queue, Scripted(ZeroDivisionError("bug"))):
        ended = await until(job_store, job.id, JobStatus.FAILED)

    assert ended.dead_letter
    assert ended.error is not None
    assert ended.error["code"] == "internal_error"


async def test_on_stop_a_running_job_goes_back_untouched(job_store: JobStore, queue: MemoryQueue):
    job = await submitted(job_store, queue)
    script = Scripted(gate=asyncio.Event())

    async with working(job_store, queue, script):
        await script.started.wait()

    back = await job_store.get(TENANT, job.id)
    assert (back.status, back.failures) == (JobStatus.QUEUED, 0)
    assert await queue.state(job.id) is EntryState.READY


async def test_a_cancel_reaches_the_running_job(job_store: JobStore, queue: MemoryQueue):
    job = await submitted(job_store, queue)
    script = Scripted(gate=asyncio.Event())

    async with working(job_store, queue, script, lease_s=2.0):
        await script.started.wait()
        await job_store.request_cancel(TENANT, job.id)
        await until(job_store, job.id, JobStatus.CANCELED)

    assert await queue.state(job.id) is EntryState.GONE


async def test_a_job_that_takes_its_worker_down_every_time_is_given_up_on(job_store: JobStore, queue: MemoryQueue):
    job = await submitted(job_store, queue)
    for _ in range(MAX_TAKEOVERS):
        assert await job_store.begin(job.id, node="dies") is not None
    script = Scripted()

    async with working(job_store, queue, script):
        ended = await until(job_store, job.id, JobStatus.FAILED)

    assert (ended.dead_letter, ended.error and ended.error["code"]) == (True, "worker_lost")
    assert not script.started.is_set()
