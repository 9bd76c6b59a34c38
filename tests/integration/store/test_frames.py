"""What the store promises about frames and their descriptions, on a real Postgres."""

from __future__ import annotations

import asyncio

import psutil
import pytest

from tests.integration.store.making import TENANT, running_job
from vidcompute.domain.frames import Description
from vidcompute.errors import InvalidInput, LeaseLost, NotFound, OutputInvalid
from vidcompute.store.frames import FrameRow


def frame_rows(count, *, every=10, pts_step=1001):
    """`count` frames at 30 per second; each tenth is an anchor, scenes are 50 frames long."""
    for number in range(count):
        yield FrameRow(
            pts=number * pts_step,
            frame_no=number,
            ts_ms=round(number * 1000 / 30),
            scene_no=number // 50,
            anchor_pts=number // every * every * pts_step,
            similarity=1.0 if number % every == 0 else 0.9,
        )


def description(pts, summary="a red car", *, model="facts-1", **fields):
    context = {"summary": summary, "objects": [], "actions": [], "ocr_text": []} | fields.pop("context", {})
    return Description(
        pts=pts, kind="visual", source="local", model=model, prompt_version=1, status="done", context=context, **fields
    )


async def put_frames(frame_store, job, count=30, **how):
    return await frame_store.replace_frames(
        tenant_id=TENANT, job_id=job.id, attempt=job.attempt, rows=frame_rows(count, **how)
    )


async def describe(frame_store, job, *items):
    return await frame_store.upsert_descriptions(
        tenant_id=TENANT, job_id=job.id, attempt=job.attempt, items=list(items)
    )


async def test_every_frame_has_a_row_and_the_description_of_its_anchor(job_store, frame_store):
    job = await running_job(job_store)
    await describe(frame_store, job, *(description(pts * 1001, f"scene {pts}") for pts in (0, 10, 20)))

    stored = await put_frames(frame_store, job)

    page = await frame_store.page(TENANT, job.id, limit=100)
    assert stored == 30
    assert [frame.frame_no for frame in page.items] == list(range(30))
    assert {frame.description.context["summary"] for frame in page.items[10:20]} == {"scene 10"}
    assert page.items[15].similarity == pytest.approx(0.9)
    assert page.next_cursor is None


async def test_descriptions_are_numbered_in_presentation_order_and_span_their_frames(job_store, frame_store):
    job = await running_job(job_store)
    # Stored as replies land, so in any order.
    for pts in (20, 0, 10):
        await describe(frame_store, job, description(pts * 1001))

    await put_frames(frame_store, job)

    found = [frame.description async for frame in frame_store.export(TENANT, job.id)]
    spans = {said.desc_no: (said.start_ms, said.end_ms) for said in found}
    assert spans == {0: (0, 300), 1: (333, 633), 2: (667, 967)}


async def test_a_description_that_comes_after_the_frames_is_seen_at_once(job_store, frame_store):
    job = await running_job(job_store)
    await put_frames(frame_store, job)
    before = await frame_store.get(TENANT, job.id, 12)

    await describe(frame_store, job, description(10 * 1001))

    after = await frame_store.get(TENANT, job.id, 12)
    assert before.description is None
    assert (after.description.desc_no, after.description.start_ms) == (1, 333)


async def test_replacing_frames_twice_leaves_no_duplicate_and_nothing_old(job_store, frame_store):
    job = await running_job(job_store)
    await describe(frame_store, job, *(description(pts * 1001) for pts in (0, 10, 20)))
    await put_frames(frame_store, job, 30)

    await put_frames(frame_store, job, 12)

    summary = await frame_store.summary(TENANT, job.id)
    last = await frame_store.get(TENANT, job.id, 11)
    assert summary.frames == 12
    assert (last.description.start_ms, last.description.end_ms) == (333, 367)
    with pytest.raises(NotFound):
        await frame_store.get(TENANT, job.id, 12)


async def test_the_same_anchor_described_again_is_replaced(job_store, frame_store):
    job = await running_job(job_store)
    await put_frames(frame_store, job)
    await describe(frame_store, job, description(0, "first", prompt_tokens=5))

    await describe(frame_store, job, description(0, "second", prompt_tokens=7), description(0, "third"))

    summary = await frame_store.summary(TENANT, job.id)
    assert (await frame_store.get(TENANT, job.id, 0)).description.context["summary"] == "third"
    assert (summary.descriptions, summary.tokens) == (1, 0)


async def test_of_two_models_the_latest_word_is_shown(job_store, frame_store):
    job = await running_job(job_store)
    await put_frames(frame_store, job)
    await describe(frame_store, job, description(0, "facts"))

    await describe(frame_store, job, description(0, "prose", model="gpt"))

    page = await frame_store.page(TENANT, job.id, limit=100)
    assert len(page.items) == 30
    assert page.items[0].description.context["summary"] == "prose"


async def test_what_is_described_already_is_known_by_kind_model_and_prompt(job_store, frame_store):
    job = await running_job(job_store)
    await describe(frame_store, job, description(0), description(10010), description(0, model="gpt"))

    done = await frame_store.described(job.id, kind="visual", model="facts-1", prompt_version=1)
    other = await frame_store.described(job.id, kind="visual", model="facts-1", prompt_version=2)

    assert done == {0, 10010}
    assert other == set()


async def test_the_summary_adds_up(job_store, frame_store):
    job = await running_job(job_store)
    await put_frames(frame_store, job)
    await describe(
        frame_store,
        job,
        description(0, prompt_tokens=100, completion_tokens=20, cost_usd=0.000012, ocr_cpu_s=0.5),
        description(10010, prompt_tokens=1, cost_usd=0.000001, ocr_cpu_s=0.25),
    )

    summary = await frame_store.summary(TENANT, job.id)

    assert (summary.frames, summary.described_frames, summary.descriptions) == (30, 20, 2)
    assert summary.tokens == 121
    assert summary.cost_usd == pytest.approx(0.000013)
    assert summary.ocr_cpu_s == pytest.approx(0.75)


async def test_a_zombie_replaces_neither_frames_nor_descriptions(job_store, frame_store):
    zombie = await running_job(job_store)
    current = await job_store.begin(zombie.id, node="node-2")
    await put_frames(frame_store, current)

    with pytest.raises(LeaseLost):
        await put_frames(frame_store, zombie, 5)
    with pytest.raises(LeaseLost):
        await describe(frame_store, zombie, description(0))

    assert (await frame_store.summary(TENANT, zombie.id)).frames == 30


async def test_an_attempt_that_is_overtaken_while_it_copies_leaves_nothing(job_store, frame_store):
    zombie = await running_job(job_store)
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def overtake():
        await begun.wait()
        return await job_store.begin(zombie.id, node="node-2")

    def rows():
        yield from frame_rows(5000)
        loop.call_soon(begun.set)
        yield from (FrameRow(row.pts + 10**9, row.frame_no + 5000, 0, 0, 0, 0.0) for row in frame_rows(50_000))

    async with asyncio.TaskGroup() as group:
        overtaking = group.create_task(overtake())
        with pytest.raises(LeaseLost):
            await frame_store.replace_frames(tenant_id=TENANT, job_id=zombie.id, attempt=1, rows=rows())

    assert overtaking.result().attempt == 2
    assert (await frame_store.summary(TENANT, zombie.id)).frames == 0


async def test_a_copy_does_not_stop_the_jobs_heartbeat(job_store, frame_store):
    job = await running_job(job_store)
    beats = []

    async def beat():
        beats.append(await job_store.heartbeat([(job.id, job.attempt)]))

    async with asyncio.TaskGroup() as group:

        def rows():
            for row in frame_rows(20_000):
                if row.frame_no == 10_000:
                    group.create_task(beat())
                yield row

        async with asyncio.timeout(20):
            await frame_store.replace_frames(tenant_id=TENANT, job_id=job.id, attempt=1, rows=rows())

    assert beats == [{job.id: "ok"}]


async def test_frames_that_are_not_distinct_are_refused_as_a_whole(job_store, frame_store):
    job = await running_job(job_store)
    await put_frames(frame_store, job)
    twice = [row for row in frame_rows(3) for _ in range(2)]

    with pytest.raises(OutputInvalid):
        await frame_store.replace_frames(tenant_id=TENANT, job_id=job.id, attempt=1, rows=twice)

    assert (await frame_store.summary(TENANT, job.id)).frames == 30


async def test_memory_stays_flat_for_many_rows(job_store, frame_store):
    job = await running_job(job_store)
    process = psutil.Process()
    sizes = []

    def rows():
        for row in frame_rows(200_000, every=100):
            if row.frame_no % 20_000 == 10_000:
                sizes.append(process.memory_info().rss)
            yield row

    stored = await frame_store.replace_frames(tenant_id=TENANT, job_id=job.id, attempt=1, rows=rows())

    assert stored == 200_000
    # The rows are 40 MB as objects and 14 MB as text.
    assert max(sizes) - sizes[0] < 8 * 1024**2


async def test_numbering_many_descriptions_does_not_take_the_square_of_their_number(job_store, frame_store):
    job = await running_job(job_store)
    await describe(frame_store, job, *(description(number * 1001) for number in range(10_000)))

    # Half a second on an idle machine; the square of it would be minutes.
    async with asyncio.timeout(60):
        await put_frames(frame_store, job, 10_000, every=1)
        await describe(frame_store, job, description(9_999 * 1001, "the last one"))

    last = await frame_store.get(TENANT, job.id, 9_999)
    assert last.description.desc_no == 9_999
    assert last.description.context["summary"] == "the last one"


async def test_the_view_for_people_shows_what_a_page_shows(job_store, frame_store, database):
    job = await running_job(job_store)
    await put_frames(frame_store, job)
    await describe(frame_store, job, description(0), description(10010), description(0, "prose", model="gpt"))

    page = await frame_store.page(TENANT, job.id, limit=100)
    async with database.transaction() as connection:
        cursor = await connection.execute("SELECT * FROM frame_context_full ORDER BY frame_no")
        rows = await cursor.fetchall()

    assert [(row["pts"], row["desc_no"], row["context"]) for row in rows] == [
        (item.pts, item.description and item.description.desc_no, item.description and item.description.context)
        for item in page.items
    ]


async def test_pages_go_through_all_frames_in_order(job_store, frame_store):
    job = await running_job(job_store)
    await put_frames(frame_store, job)

    seen, cursor = [], None
    while True:
        page = await frame_store.page(TENANT, job.id, limit=7, cursor=cursor)
        seen += [frame.frame_no for frame in page.items]
        if (cursor := page.next_cursor) is None:
            break

    assert seen == list(range(30))


async def test_a_stretch_of_time_includes_both_its_ends(job_store, frame_store):
    job = await running_job(job_store)
    await put_frames(frame_store, job)

    page = await frame_store.page(TENANT, job.id, from_ms=100, to_ms=200)
    exported = [frame.frame_no async for frame in frame_store.export(TENANT, job.id, from_ms=100, to_ms=200)]

    assert [frame.ts_ms for frame in page.items] == [100, 133, 167, 200]
    assert exported == [3, 4, 5, 6]


async def test_other_tenants_see_no_frames(job_store, frame_store):
    job = await running_job(job_store)
    await put_frames(frame_store, job)

    page = await frame_store.page("other", job.id)
    summary = await frame_store.summary("other", job.id)

    assert page.items == []
    assert summary.frames == 0
    with pytest.raises(NotFound):
        await frame_store.get("other", job.id, 0)


@pytest.mark.parametrize("cursor", ["x", "WyJhIl0", "WzEuNV0", "W3RydWVd"])
async def test_a_strange_cursor_is_the_callers_mistake(job_store, frame_store, cursor):
    job = await running_job(job_store)

    with pytest.raises(InvalidInput):
        await frame_store.page(TENANT, job.id, cursor=cursor)


async def test_text_that_postgres_refuses_or_cannot_index_does_not_fail_the_write(job_store, frame_store):
    job = await running_job(job_store)
    await put_frames(frame_store, job)
    hostile = {
        "ocr_text": ["NUL \0 here", "\ud800", "x" * 3_000_000, *(f"word{n}" for n in range(200_000))],
        "objects": "not a list",
        "actions": None,
        "brightness": float("nan"),
        "nested": {"\0": ["\0"]},
    }

    await describe(frame_store, job, description(0, "s" * 5_000_000, context=hostile))

    context = (await frame_store.get(TENANT, job.id, 0)).description.context
    assert context["ocr_text"][0] == "NUL \ufffd here"
    assert context["brightness"] is None


async def test_a_deleted_job_takes_its_frames_along(job_store, frame_store):
    job = await running_job(job_store)
    await put_frames(frame_store, job)
    await describe(frame_store, job, description(0))
    await job_store.succeed(job.id, job.attempt)

    await job_store.delete(TENANT, job.id)

    assert (await frame_store.summary(TENANT, job.id)).frames == 0
