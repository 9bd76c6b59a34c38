"""What search finds, on a real Postgres."""

from __future__ import annotations

import pytest

from tests.integration.store.making import TENANT, new_job, running_job
from tests.integration.store.test_frames import describe, description, put_frames
from vidcompute.domain.job import JobSpec
from vidcompute.errors import InvalidInput, NotFound
from vidcompute.store.search import SearchStore


async def film(job_store, frame_store, *texts, name="film.mp4", spec=None):
    """A job with one description per text, ten frames (a third of a second) each; None is an undescribed stretch."""
    job = await running_job(job_store, name=name, spec=spec or JobSpec(input="file:///a.mp4"))
    await put_frames(frame_store, job, 10 * len(texts))
    items = []
    for number, text in enumerate(texts):
        if text is not None:
            how = {"summary": text} if isinstance(text, str) else {"summary": "", "context": text}
            items.append(description(number * 10 * 1001, **how))
    await describe(frame_store, job, *items)
    return job


def spans(found):
    return [(moment.start_ms, moment.end_ms) for moment in found.moments]


async def test_a_word_finds_its_moment_and_frame(job_store, frame_store, search_store):
    job = await film(job_store, frame_store, "a beach at noon", "a red car drives", "an empty street")

    found = await search_store.search(TENANT, "car")

    (moment,) = found.moments
    assert (moment.job_id, moment.job_name) == (job.id, "film.mp4")
    assert (moment.start_ms, moment.end_ms, moment.frame_no) == (333, 633, 10)
    assert moment.snippet == "a red <mark>car</mark> drives"
    assert 0 < moment.score <= 1
    assert not found.capped


@pytest.mark.parametrize("query", ["cars", "driving car", "CAR", "red or blue", '"red car"', "dri", "car -blue"])
async def test_these_find_a_red_car_that_drives(job_store, frame_store, search_store, query):
    await film(job_store, frame_store, "a red car drives")

    assert (await search_store.search(TENANT, query)).moments


@pytest.mark.parametrize("query", ["truck", '"car red"', "car -red", "car -drives", "car -driving", "ed", "-truck", ""])
async def test_these_do_not(job_store, frame_store, search_store, query):
    await film(job_store, frame_store, "a red car drives")

    assert not (await search_store.search(TENANT, query)).moments


@pytest.mark.parametrize("query", ["EXIT", "exit 12", "the", "ärger", "ÄRGER", "ARG", "running exit", "東京", "x-42"])
async def test_text_on_screen_is_found_as_it_is_written(job_store, frame_store, search_store, query):
    words = {"ocr_text": ["EXIT 12", "The End", "Ärger", "Argentina", "x-42", "東京タワー"], "actions": ["running"]}
    await film(job_store, frame_store, "nothing", words, "nothing")

    found = await search_store.search(TENANT, query)

    assert spans(found) == [(333, 633)]


async def test_summary_stems_and_screen_words_match_in_one_query(job_store, frame_store, search_store):
    await film(job_store, frame_store, {"summary": "foxes are jumping", "ocr_text": ["Gates closing"]})

    assert (await search_store.search(TENANT, "fox jump gates")).moments


async def test_a_whole_word_ranks_above_one_that_begins_so(job_store, frame_store, search_store):
    await film(job_store, frame_store, "a category of things", None, None, None, None, "a cat", name="a")

    found = await search_store.search(TENANT, "cat")

    assert spans(found) == [(1667, 1967), (0, 300)]


async def test_adjacent_hits_are_one_moment_with_the_frame_of_the_best(job_store, frame_store, search_store):
    await film(job_store, frame_store, "a car", "car car car and a car", "a car", None, None, None, None, "a car")

    found = await search_store.search(TENANT, "car")

    assert sorted(spans(found)) == [(0, 967), (2333, 2633)]
    assert found.moments[0].frame_no == 10


async def test_hits_of_two_jobs_are_never_one_moment(job_store, frame_store, search_store):
    first = await film(job_store, frame_store, "a car", name="one")
    second = await film(job_store, frame_store, "a car", name="two")

    found = await search_store.search(TENANT, "car")
    narrowed = await search_store.search(TENANT, "car", job_id=second.id)

    assert {moment.job_id for moment in found.moments} == {first.id, second.id}
    assert [moment.job_id for moment in narrowed.moments] == [second.id]


async def test_tags_narrow_and_other_tenants_find_nothing(job_store, frame_store, search_store):
    tagged = await film(job_store, frame_store, "a car", spec=JobSpec(input="file:///a", tags={"team": "ads"}))
    await film(job_store, frame_store, "a car")

    by_tag = await search_store.search(TENANT, "car", tags={"team": "ads"})
    foreign = await search_store.search("other", "car")

    assert [moment.job_id for moment in by_tag.moments] == [tagged.id]
    assert foreign.moments == []
    with pytest.raises(NotFound):
        await search_store.search("other", "car", job_id=tagged.id)


async def test_what_no_frame_points_at_is_not_found(job_store, frame_store, search_store):
    job = await running_job(job_store)
    await describe(frame_store, job, description(0, "a car"))

    assert not (await search_store.search(TENANT, "car")).moments


async def test_pages_hold_every_moment_once(job_store, frame_store, search_store):
    for number in range(5):
        await film(job_store, frame_store, "a car", None, None, None, None, "a car", name=f"f{number}")

    seen, cursor = [], None
    while True:
        found = await search_store.search(TENANT, "car", limit=3, cursor=cursor)
        seen += [(moment.job_id, moment.start_ms) for moment in found.moments]
        if (cursor := found.next_cursor) is None:
            break

    assert len(seen) == len(set(seen)) == 10


async def test_more_hits_than_are_ranked_are_reported(job_store, frame_store, database):
    await film(job_store, frame_store, "a car", "a car", "a car")

    assert (await SearchStore(database, candidates=2).search(TENANT, "car")).capped
    assert not (await SearchStore(database, candidates=3).search(TENANT, "car")).capped


async def test_markup_in_the_text_is_escaped_and_marks_are_ours_alone(job_store, frame_store, search_store):
    await film(job_store, frame_store, 'car "x" & y < z', {"ocr_text": ["\ue000evil\ue001 lorry", "a<b>lorry"]})

    car = await search_store.search(TENANT, "car")
    lorry = await search_store.search(TENANT, "lorry")

    assert car.moments[0].snippet == "<mark>car</mark> &quot;x&quot; &amp; y &lt; z"
    assert "<mark>evil" not in lorry.moments[0].snippet
    assert lorry.moments[0].snippet.replace("<mark>", "").replace("</mark>", "").count("<") == 0


HOSTILE = [
    "\0",
    "\ud800",
    "'",
    '"',
    "\\",
    "a:*",
    "& | ! <-> ( )",
    ":*",
    "-",
    "--",
    "- -",
    "or",
    "or or or",
    "car or",
    '"unfinished',
    '-"unfinished',
    "''':*",
    "a" * 10_000,
    "a " * 5_000,
    "-a " * 5_000,
    '"' * 10_000,
    "%s %(q)s {} %%",
    "'; DROP TABLE jobs; --",
    "\u202e\u200b",
    "<b>car</b>",
    "https://example.com/a?b=c&d",
    "a@b.c -1.5e3 /etc/passwd",
    "é́" * 200,
    "🚗",
    "\\' & ''",
    "a\tb\nc\r",
]


@pytest.mark.parametrize("query", HOSTILE)
async def test_any_text_is_a_legal_query(job_store, frame_store, search_store, query):
    await film(job_store, frame_store, "a car", {"ocr_text": [query.encode("utf-8", "replace").decode()[:200]]})

    await search_store.search(TENANT, query)

    assert (await search_store.search(TENANT, "car")).moments


@pytest.mark.parametrize("cursor", ["x", "WzEsIngiLDBd", "W251bGwsIngiLDBd"])
async def test_a_strange_cursor_is_the_callers_mistake(job_store, search_store, cursor):
    await new_job(job_store)

    with pytest.raises(InvalidInput):
        await search_store.search(TENANT, "car", cursor=cursor)
