"""Keeping the house: what the queue forgot comes back, what nobody needs goes."""

import random
import time
from datetime import timedelta
from pathlib import Path

from prometheus_client import CollectorRegistry

from vidcompute.blobs.local import LocalBlobs
from vidcompute.domain.job import JobSpec, Priority
from vidcompute.domain.retry import Backoff
from vidcompute.errors import StoreDown
from vidcompute.maintenance.housekeeping import Housekeeper
from vidcompute.maintenance.reconcile import Reconciler
from vidcompute.monitor import Metrics
from vidcompute.queue.base import EntryState
from vidcompute.queue.memory import MemoryQueue
from vidcompute.store.jobs import JobStore
from vidcompute.store.uploads import UploadStore

TENANT = "default"


def empty_queue() -> MemoryQueue:
    return MemoryQueue(
        backoff=Backoff(base_s=1, cap_s=2, max_failures=4), clock=time.time, random=random.random, max_deliveries=64
    )


def reconciler(job_store: JobStore, queue: MemoryQueue, clock) -> Reconciler:
    return Reconciler(jobs=job_store, queue=queue, metrics=Metrics(CollectorRegistry()), every_s=60, now=clock)


async def test_unfinished_jobs_return_to_an_empty_queue_and_only_once(job_store: JobStore, clock):
    waiting, _ = await job_store.create(tenant_id=TENANT, spec=JobSpec(input="file:///a"), name="a")
    running, _ = await job_store.create(tenant_id=TENANT, spec=JobSpec(input="file:///b"), name="b")
    await job_store.begin(running.id, node="gone")
    over, _ = await job_store.create(tenant_id=TENANT, spec=JobSpec(input="file:///c"), name="c")
    await job_store.request_cancel(TENANT, over.id)
    queue = empty_queue()
    house = reconciler(job_store, queue, clock)

    returned = [await house.once(), await house.once()]

    assert returned == [2, 0]
    assert await queue.state(waiting.id) is EntryState.READY
    assert await queue.state(running.id) is EntryState.READY
    assert await queue.state(over.id) is EntryState.GONE


async def test_a_job_that_is_known_to_the_queue_is_left_alone(job_store: JobStore, clock):
    job, _ = await job_store.create(tenant_id=TENANT, spec=JobSpec(input="file:///a"), name="a")
    queue = empty_queue()
    await queue.enqueue(job.id, priority=Priority.LOW)

    assert await reconciler(job_store, queue, clock).once() == 0


async def test_an_upload_that_no_job_took_goes_after_a_day(
    job_store: JobStore, upload_store: UploadStore, clock, tmp_path: Path
):
    blobs = LocalBlobs(tmp_path, secret=b"s" * 32)
    key = f"{TENANT}/uploads/u1"
    await blobs.put_bytes(key, b"bytes")
    await upload_store.create(tenant_id=TENANT, upload_id="u1", name="a.mp4", key=key)
    keeper = Housekeeper(jobs=job_store, uploads=upload_store, blobs=blobs, now=clock, chores={})

    early = await keeper.once()
    clock.advance(timedelta(days=1, seconds=1).total_seconds())
    late = await keeper.once()

    assert (early["uploads"], late["uploads"]) == (0, 1)
    assert await blobs.head(key) is None


async def test_a_chore_that_fails_does_not_keep_the_others_from_being_done(
    job_store: JobStore, upload_store: UploadStore, clock, tmp_path: Path
):
    async def fails() -> int:
        raise StoreDown("away")

    async def works() -> int:
        return 3

    keeper = Housekeeper(
        jobs=job_store,
        uploads=upload_store,
        blobs=LocalBlobs(tmp_path, secret=b"s" * 32),
        now=clock,
        chores={"fails": fails, "works": works},
    )

    removed = await keeper.once()

    assert removed["works"] == 3
    assert "fails" not in removed
