"""What callers may ask of jobs: submit, read, forget. On a real Postgres."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from tests.integration.store.making import SPEC, TENANT, fail, kinds, new_job, running_job
from vidcompute.domain.job import JobSpec, JobStatus, Packaging, Priority
from vidcompute.errors import Conflict, IdempotencyConflict, InvalidInput, NotFound
from vidcompute.store.jobs import JobFilter


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
