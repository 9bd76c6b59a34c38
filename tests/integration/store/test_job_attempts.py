"""What attempts write, and how they end: the fence above all. On a real Postgres."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.integration.store.making import TENANT, fail, kinds, new_job, running_job
from vidcompute.domain.job import JobStatus, Phase
from vidcompute.domain.task import TaskKind
from vidcompute.errors import Conflict, LeaseLost
from vidcompute.store.jobs import Heartbeat, JobStore


async def test_begin_issues_the_next_attempt_and_writes_who_works_on_it(job_store, clock):
    job = await new_job(job_store)

    begun = await job_store.begin(job.id, node="node-1")

    attempts = await job_store.attempts(TENANT, job.id)
    assert (begun.status, begun.attempt, begun.started_at, begun.heartbeat_at) == (
        JobStatus.RUNNING,
        1,
        clock(),
        clock(),
    )
    assert [(item.attempt, item.node, item.outcome) for item in attempts] == [(1, "node-1", None)]
    assert begun.revision > job.revision


async def test_nothing_begins_that_is_over_or_gone(job_store):
    job = await new_job(job_store)
    await job_store.request_cancel(TENANT, job.id)

    assert await job_store.begin(job.id, node="n") is None
    assert await job_store.begin("job_" + "0" * 32, node="n") is None


async def test_taking_over_a_running_job_closes_the_fence_on_its_first_holder(job_store):
    zombie = await running_job(job_store)

    current = await job_store.begin(zombie.id, node="node-2")

    attempts = await job_store.attempts(TENANT, zombie.id)
    assert current.attempt == 2
    assert [(item.outcome, item.counted) for item in attempts] == [("lost", False), (None, None)]
    assert current.failures == 0


WRITES = {
    "progress": lambda s, j: s.progress(j.id, j.attempt, phase=Phase.PROBING, progress={"percent": 1.0}),
    "set_source": lambda s, j: s.set_source(j.id, j.attempt, source={}, source_key="k", sha256="s"),
    "set_plan": lambda s, j: s.set_plan(j.id, j.attempt, plan={}, plan_hash="h"),
    "update_parts": lambda s, j: s.update_parts(j.id, j.attempt, parts={}),
    "update_warnings": lambda s, j: s.update_warnings(j.id, j.attempt, warnings=[]),
    "log": lambda s, j: s.log(j.id, j.attempt, level="info", message="m"),
    "record_task": lambda s, j: s.record_task(j.id, j.attempt, key="k", kind=TaskKind.PROBE, result={}),
    "publish": lambda s, j: s.publish(j.id, j.attempt, published="p", parts={}, renditions=[], warnings=[]),
    "succeed": lambda s, j: s.succeed(j.id, j.attempt),
    "fail": fail,
    "cancel": lambda s, j: s.cancel(j.id, j.attempt),
    "release": lambda s, j: s.release(j.id, j.attempt),
}


@pytest.mark.parametrize("write", WRITES)
async def test_a_zombie_writes_nothing(job_store: JobStore, write):
    zombie = await running_job(job_store)
    await job_store.begin(zombie.id, node="node-2")
    before = await job_store.get(TENANT, zombie.id)
    events = await job_store.events(TENANT, zombie.id)

    with pytest.raises(LeaseLost):
        await WRITES[write](job_store, zombie)

    assert await job_store.get(TENANT, zombie.id) == before
    assert await job_store.events(TENANT, zombie.id) == events
    assert await job_store.tasks(zombie.id) == {}


@pytest.mark.parametrize("write", WRITES)
async def test_the_running_attempt_may_write(job_store: JobStore, write):
    job = await running_job(job_store)

    await WRITES[write](job_store, job)


async def test_progress_is_seen_on_the_row_and_not_in_the_log(job_store):
    job = await running_job(job_store)

    for percent in (10.0, float("nan"), 30.0):
        await job_store.progress(
            job.id, job.attempt, phase=Phase.TRANSCODING, progress={"percent": percent, "speed": float("inf")}
        )

    stored = await job_store.get(TENANT, job.id)
    assert stored.progress == {"percent": 30.0, "speed": None}
    assert stored.phase is Phase.TRANSCODING
    assert len(await job_store.events(TENANT, job.id)) == 2


async def test_a_plan_is_set_once(job_store):
    job = await running_job(job_store)
    await job_store.set_plan(job.id, job.attempt, plan={"version": 1}, plan_hash="a")

    await job_store.set_plan(job.id, job.attempt, plan={"version": 1}, plan_hash="a")
    with pytest.raises(Conflict):
        await job_store.set_plan(job.id, job.attempt, plan={"version": 2}, plan_hash="b")

    assert (await job_store.get(TENANT, job.id)).plan == {"version": 1}


async def test_done_tasks_are_found_by_the_next_attempt(job_store):
    first = await running_job(job_store)
    await job_store.record_task(
        first.id, first.attempt, key="chunk/0", kind=TaskKind.CHUNK, result={"files": ["v0.mp4"]}
    )
    second = await job_store.begin(first.id, node="node-2")
    await job_store.record_task(second.id, second.attempt, key="chunk/0", kind=TaskKind.CHUNK, result={"files": []})

    assert await job_store.tasks(first.id) == {"chunk/0": {"files": []}}


async def test_publishing_flips_the_pointer_with_what_belongs_to_it(job_store):
    job = await running_job(job_store)

    await job_store.publish(
        job.id,
        job.attempt,
        published="default/jobs/x/1/",
        parts={"hls": {"status": "succeeded"}, "context": {"status": "running"}},
        renditions=[{"name": "v0"}],
        warnings=[{"code": "source"}],
    )

    stored = await job_store.get(TENANT, job.id)
    last = (await job_store.events(TENANT, job.id))[-1]
    assert (stored.published, stored.renditions, stored.warnings) == (
        "default/jobs/x/1/",
        [{"name": "v0"}],
        [{"code": "source"}],
    )
    assert last.data["parts"] == {"hls": "succeeded", "context": "running"}


async def test_a_heartbeat_says_what_became_of_each_attempt(job_store, clock):
    mine, canceled, taken = [await running_job(job_store) for _ in range(3)]
    await job_store.request_cancel(TENANT, canceled.id)
    await job_store.begin(taken.id, node="node-2")
    clock.advance(5)

    verdicts = await job_store.heartbeat(
        [(mine.id, 1), (canceled.id, 1), (taken.id, 1), ("job_" + "0" * 32, 1), ("nonsense", 1)]
    )

    assert verdicts == {
        mine.id: Heartbeat.OK,
        canceled.id: Heartbeat.CANCELED,
        taken.id: Heartbeat.LOST,
        "job_" + "0" * 32: Heartbeat.LOST,
        "nonsense": Heartbeat.LOST,
    }
    assert (await job_store.get(TENANT, mine.id)).heartbeat_at == clock()
    assert await job_store.heartbeat([]) == {}


async def test_success_ends_the_job_its_attempt_and_its_log(job_store, clock):
    job = await running_job(job_store)
    clock.advance(9)

    await job_store.succeed(job.id, job.attempt)

    stored = await job_store.get(TENANT, job.id)
    (attempt,) = await job_store.attempts(TENANT, job.id)
    assert (stored.status, stored.finished_at, stored.heartbeat_at) == (JobStatus.SUCCEEDED, clock(), None)
    assert (attempt.outcome, attempt.finished_at) == ("succeeded", clock())
    assert kinds(await job_store.events(TENANT, job.id))[-2:] == [(3, "state", "succeeded"), (4, "end", "succeeded")]


async def test_a_failure_with_a_retry_waits_in_the_queue_and_shows_why(job_store, clock):
    job = await running_job(job_store)
    due = clock() + timedelta(seconds=30)

    await fail(job_store, job, retry_at=due)

    stored = await job_store.get(TENANT, job.id)
    (attempt,) = await job_store.attempts(TENANT, job.id)
    assert (stored.status, stored.next_attempt_at, stored.failures) == (JobStatus.QUEUED, due, 1)
    assert stored.error["code"] == "encoder_failed"
    assert "evidence" not in stored.error
    assert attempt.problem["evidence"]["argv"] == ["ffmpeg"]
    assert attempt.counted


async def test_the_next_attempt_clears_the_error_and_counts_on(job_store, clock):
    job = await running_job(job_store)
    await fail(job_store, job, retry_at=clock())
    clock.advance(1)

    again = await job_store.begin(job.id, node="node-1")

    assert (again.attempt, again.failures, again.error, again.next_attempt_at) == (2, 1, None, None)
    assert again.started_at == job.started_at


async def test_failing_for_good_leaves_nothing_pending(job_store):
    job = await running_job(job_store)

    await fail(job_store, job, dead=True)

    stored = await job_store.get(TENANT, job.id)
    assert (stored.status, stored.dead_letter) == (JobStatus.FAILED, True)
    assert {part["status"] for part in stored.parts.values()} == {"failed"}


async def test_a_failure_that_is_not_counted_leaves_the_count(job_store, clock):
    job = await running_job(job_store)

    await fail(job_store, job, counted=False, retry_at=clock())

    assert (await job_store.get(TENANT, job.id)).failures == 0


async def test_release_gives_the_job_back_without_counting(job_store):
    job = await running_job(job_store)

    await job_store.release(job.id, job.attempt)

    stored = await job_store.get(TENANT, job.id)
    (attempt,) = await job_store.attempts(TENANT, job.id)
    assert (stored.status, stored.failures, stored.next_attempt_at) == (JobStatus.QUEUED, 0, None)
    assert (attempt.outcome, attempt.counted) == ("released", False)


async def test_a_queued_job_is_canceled_at_once(job_store):
    job = await new_job(job_store)

    canceled = await job_store.request_cancel(TENANT, job.id)

    assert canceled.status is JobStatus.CANCELED
    assert {part["status"] for part in canceled.parts.values()} == {"canceled"}
    assert kinds(await job_store.events(TENANT, job.id))[-1] == (3, "end", "canceled")


async def test_a_running_job_is_told_once_and_ends_when_its_worker_says_so(job_store, clock):
    job = await running_job(job_store)
    first = await job_store.request_cancel(TENANT, job.id)
    clock.advance(5)
    second = await job_store.request_cancel(TENANT, job.id)

    await job_store.cancel(job.id, job.attempt)

    assert first.status is JobStatus.RUNNING
    assert second == first
    assert (await job_store.get(TENANT, job.id)).status is JobStatus.CANCELED
    with pytest.raises(Conflict):
        await job_store.request_cancel(TENANT, job.id)


async def test_a_job_that_was_asked_to_end_is_never_tried_again(job_store, clock):
    failing, released, orphaned = [await running_job(job_store) for _ in range(3)]
    for job in (failing, released, orphaned):
        await job_store.request_cancel(TENANT, job.id)

    await fail(job_store, failing, retry_at=clock())
    await job_store.release(released.id, 1)
    assert await job_store.begin(orphaned.id, node="node-2") is None

    for job in (failing, released, orphaned):
        assert (await job_store.get(TENANT, job.id)).status is JobStatus.CANCELED


async def test_retry_starts_over_with_plan_and_done_tasks(job_store):
    job = await running_job(job_store)
    await job_store.set_plan(job.id, job.attempt, plan={"version": 1}, plan_hash="a")
    await job_store.record_task(job.id, job.attempt, key="probe", kind=TaskKind.PROBE, result={})
    await fail(job_store, job, dead=True)

    queued = await job_store.retry(TENANT, job.id)

    assert (queued.status, queued.failures, queued.dead_letter, queued.error) == (JobStatus.QUEUED, 0, False, None)
    assert (queued.started_at, queued.finished_at) == (None, None)
    assert {part["status"] for part in queued.parts.values()} == {"pending"}
    assert queued.plan_hash == "a"
    assert await job_store.tasks(job.id) == {"probe": {}}
    assert (await job_store.begin(job.id, node="n")).attempt == 2


async def test_only_failed_and_canceled_jobs_can_be_retried(job_store):
    queued = await new_job(job_store)
    running = await running_job(job_store)
    done = await running_job(job_store)
    await job_store.succeed(done.id, done.attempt)

    for job in (queued, running, done):
        with pytest.raises(Conflict):
            await job_store.retry(TENANT, job.id)
