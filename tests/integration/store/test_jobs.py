"""What the store promises about jobs, on a real Postgres."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from vidcompute.domain.job import JobSpec, JobStatus, Packaging, Phase, Priority
from vidcompute.domain.task import TaskKind
from vidcompute.errors import Conflict, IdempotencyConflict, InvalidInput, LeaseLost, NotFound, Problem
from vidcompute.store.jobs import Heartbeat, JobFilter, JobStore

TENANT = "default"
SPEC = JobSpec(input="https://example.com/beach.mp4", tags={"team": "ads"})
PROBLEM = Problem(
    code="encoder_failed",
    title="The encoder failed",
    detail="chunk 0 exited 1",
    hint="Look at the attempt.",
    retryable=True,
    evidence={"argv": ["ffmpeg"], "stderr_tail": "boom\0"},
)


async def new_job(job_store, *, spec=SPEC, name="beach.mp4", tenant_id=TENANT):
    created = await job_store.create(tenant_id=tenant_id, spec=spec, name=name)
    return created.job


async def running_job(job_store, **fields):
    job = await new_job(job_store, **fields)
    begun = await job_store.begin(job.id, node="node-1")
    assert begun is not None
    return begun


async def fail(job_store, job, **how):
    options = {"counted": True, "retry_at": None, "dead": False} | how
    await job_store.fail(job.id, job.attempt, PROBLEM, **options)


def kinds(events):
    return [(event.seq, event.kind, event.data.get("status")) for event in events]


# ---- submitting


async def test_a_new_job_is_queued_and_its_first_event_says_so(job_store, clock):
    job = await new_job(job_store)

    stored = await job_store.get(TENANT, job.id)
    events = await job_store.events(TENANT, job.id)
    assert stored == job
    assert (job.status, job.attempt, job.failures, job.created_at) == (JobStatus.QUEUED, 0, 0, clock())
    assert job.spec == SPEC
    assert job.id.startswith("job_")
    assert len(job.id) == 36
    assert kinds(events) == [(1, "state", "queued")]


async def test_parts_that_were_not_asked_for_are_skipped_from_the_start(job_store):
    silent = await new_job(job_store, spec=JobSpec(input="file:///a.mp4", enable_llm=False))
    unpacked = await new_job(job_store, spec=JobSpec(input="file:///a.mp4", packaging=()))

    assert silent.parts["context"]["status"] == "skipped"
    assert silent.parts["hls"]["status"] == "pending"
    assert unpacked.parts["hls"]["status"] == "skipped"


async def test_names_and_tags_with_characters_that_postgres_refuses_are_stored_without_them(job_store):
    job = await new_job(job_store, name="a\0b\ud800.mp4", spec=JobSpec(input="file:///a.mp4", tags={"k": "v\0"}))

    stored = await job_store.get(TENANT, job.id)

    assert "\0" not in stored.name
    assert stored.tags == {"k": "v\ufffd"}


async def test_the_same_key_and_body_give_the_first_job_again(job_store, clock):
    submission = {"tenant_id": TENANT, "spec": SPEC, "name": "a", "idempotency_key": "k1", "body_hash": "h1"}
    first = await job_store.create(**submission)
    clock.advance(3600)

    second = await job_store.create(**submission)

    assert not first.repeated
    assert second.repeated
    assert second.job.id == first.job.id
    assert (await job_store.counts(TENANT))[JobStatus.QUEUED] == 1


async def test_the_same_key_with_another_body_is_refused(job_store):
    submission = {"tenant_id": TENANT, "spec": SPEC, "name": "a", "idempotency_key": "k1"}
    await job_store.create(**submission, body_hash="h1")

    with pytest.raises(IdempotencyConflict):
        await job_store.create(**submission, body_hash="h2")


async def test_a_key_is_free_again_after_a_day_and_for_other_tenants(job_store, clock):
    submission = {"spec": SPEC, "name": "a", "idempotency_key": "k1", "body_hash": "h1"}
    first = await job_store.create(tenant_id=TENANT, **submission)
    other = await job_store.create(tenant_id="other", **submission)
    clock.advance(timedelta(hours=24).total_seconds())

    later = await job_store.create(tenant_id=TENANT, **submission)

    assert len({first.job.id, other.job.id, later.job.id}) == 3
    assert await job_store.forget_keys() == 1


async def test_two_submissions_with_one_key_at_once_make_one_job(job_store):
    submission = {"tenant_id": TENANT, "spec": SPEC, "name": "a", "idempotency_key": "k1", "body_hash": "h1"}

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(job_store.create(**submission)) for _ in range(6)]

    assert len({task.result().job.id for task in tasks}) == 1
    assert sum(not task.result().repeated for task in tasks) == 1


# ---- reading


async def test_another_tenants_job_does_not_exist(job_store):
    job = await new_job(job_store)

    for ask in (job_store.get, job_store.attempts, job_store.events, job_store.request_cancel, job_store.retry):
        with pytest.raises(NotFound):
            await ask("other", job.id)


@pytest.mark.parametrize(
    "job_id", ["", "job_", "job_zz", "nonsense", "job_" + "0" * 32, "0" * 32, "job_" + "é" * 32, "\0"]
)
async def test_an_id_that_cannot_exist_is_not_found(job_store, job_id):
    with pytest.raises(NotFound):
        await job_store.get(TENANT, job_id)


async def test_pages_of_a_list_hold_every_job_once_whatever_is_submitted_meanwhile(job_store, clock):
    made = []
    for number in range(7):
        clock.advance(number % 2)  # some share their time of creation
        made.append((await new_job(job_store, name=f"n{number}")).id)

    seen, cursor = [], None
    while True:
        page = await job_store.list(TENANT, limit=3, cursor=cursor)
        seen += [job.id for job in page.items]
        clock.advance(1)
        await new_job(job_store, name="newcomer")
        if (cursor := page.next_cursor) is None:
            break

    assert sorted(seen) == sorted(made)
    assert seen[0] in made[-2:]


@pytest.mark.parametrize("sort", ["created_at", "-created_at", "name", "-name"])
async def test_every_order_pages_through_all(job_store, clock, sort):
    for name in ("b", "a", "c", "a"):
        clock.advance(1)
        await new_job(job_store, name=name)

    first = await job_store.list(TENANT, sort=sort, limit=2)
    second = await job_store.list(TENANT, sort=sort, limit=2, cursor=first.next_cursor)

    values = [(job.name if "name" in sort else job.created_at) for job in first.items + second.items]
    assert values == sorted(values, reverse=sort.startswith("-"))
    assert len({job.id for job in first.items + second.items}) == 4
    assert second.next_cursor is None


@pytest.mark.parametrize("cursor", ["x", "!!!", "W10", "WyJhIiwiYiJd", "A" * 5000, "bnVsbA", "WzEsMl0"])
async def test_a_strange_cursor_is_the_callers_mistake(job_store, cursor):
    with pytest.raises(InvalidInput):
        await job_store.list(TENANT, cursor=cursor)


async def test_a_list_can_be_narrowed(job_store, clock):
    beach = await new_job(job_store, name="Beach 100%.mp4")
    clock.advance(10)
    city = await running_job(job_store, name="city.mp4", spec=JobSpec(input="file:///c", priority=Priority.HIGH))
    await fail(job_store, city, dead=True)

    async def ids(**wanted):
        return [job.id for job in (await job_store.list(TENANT, JobFilter(**wanted))).items]

    assert await ids(status=frozenset({JobStatus.FAILED})) == [city.id]
    assert await ids(tags={"team": "ads"}) == [beach.id]
    assert await ids(tags={"team": "other"}) == []
    assert await ids(q="BEACH 100%") == [beach.id]
    assert await ids(q="%") == [beach.id]
    assert await ids(q="\0") == []
    assert await ids(q=city.id[:20]) in ([city.id], [city.id, beach.id])
    assert await ids(dead_letter=True) == [city.id]
    assert await ids(priority=Priority.HIGH) == [city.id]
    assert await ids(created_after=beach.created_at) == [city.id]
    assert await ids(created_before=city.created_at) == [beach.id]


async def test_counts_follow_every_move(job_store):
    await new_job(job_store)
    await running_job(job_store)
    failed = await running_job(job_store)
    await fail(job_store, failed)
    await new_job(job_store, tenant_id="other")

    counts = await job_store.counts(TENANT)
    await job_store.delete(TENANT, failed.id)
    after = await job_store.counts(TENANT)

    assert counts == {
        JobStatus.QUEUED: 1,
        JobStatus.RUNNING: 1,
        JobStatus.SUCCEEDED: 0,
        JobStatus.FAILED: 1,
        JobStatus.CANCELED: 0,
    }
    assert after[JobStatus.FAILED] == 0


# ---- running


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


# ---- ending


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


# ---- forgetting


async def test_a_job_is_deleted_only_when_it_is_over(job_store):
    queued = await new_job(job_store)
    running = await running_job(job_store)

    for job in (queued, running):
        with pytest.raises(Conflict):
            await job_store.delete(TENANT, job.id)


async def finished_with_source(job_store, *, sha256, plan_hash):
    job = await running_job(job_store)
    await job_store.set_source(job.id, job.attempt, source={}, source_key=f"default/sources/{sha256}", sha256=sha256)
    await job_store.set_plan(job.id, job.attempt, plan={}, plan_hash=plan_hash)
    await job_store.succeed(job.id, job.attempt)
    return job


async def test_deleting_names_the_blobs_that_nobody_else_needs(job_store):
    first = await finished_with_source(job_store, sha256="s1", plan_hash="p" * 64)
    second = await finished_with_source(job_store, sha256="s1", plan_hash="q" * 64)

    shared = await job_store.delete(TENANT, first.id)
    last = await job_store.delete(TENANT, second.id)

    assert shared.prefixes == (f"default/jobs/{first.id}/", f"default/work/s1/{'p' * 16}/")
    assert shared.keys == ()
    assert last.prefixes == (f"default/jobs/{second.id}/", "default/work/s1/")
    assert last.keys == ("default/sources/s1",)
    with pytest.raises(NotFound):
        await job_store.get(TENANT, first.id)


async def test_unfinished_jobs_of_all_tenants_are_found_page_by_page(job_store, clock):
    jobs = []
    for tenant in (TENANT, "other", TENANT):
        clock.advance(1)
        jobs.append(await new_job(job_store, tenant_id=tenant))
    await job_store.begin(jobs[1].id, node="n")
    done = await running_job(job_store)
    await job_store.succeed(done.id, 1)

    first = await job_store.unfinished(limit=2)
    second = await job_store.unfinished(limit=2, after=first[-1].job_id)

    assert [item.job_id for item in first + second] == [job.id for job in jobs]
    assert first[1].status is JobStatus.RUNNING
    assert first[1].attempt == 1


async def test_a_running_job_without_a_sign_of_life_is_a_stray(job_store, clock):
    silent = await running_job(job_store)
    clock.advance(60)
    await running_job(job_store)

    strays = await job_store.strays(before=clock() - timedelta(seconds=30))

    assert [item.job_id for item in strays] == [silent.id]


async def test_event_numbers_have_no_gaps_however_many_write_at_once(job_store):
    job = await running_job(job_store)

    async with asyncio.TaskGroup() as group:
        for number in range(40):
            group.create_task(job_store.log(job.id, 1, level="info", message=str(number)))
    await job_store.succeed(job.id, 1)

    events = await job_store.events(TENANT, job.id, limit=1000)
    tail = await job_store.events(TENANT, job.id, after_seq=40, limit=2)
    assert [event.seq for event in events] == list(range(1, 45))
    assert {event.data["message"] for event in events if event.kind == "log"} == {str(n) for n in range(40)}
    assert [event.seq for event in tail] == [41, 42]
    assert Packaging.HLS in job.spec.packaging
