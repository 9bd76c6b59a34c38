"""The published result, frames and search over HTTP."""

import json

import pytest

from tests.integration.api.conftest import JOBS
from vidcompute.domain.frames import Description
from vidcompute.store.frames import FrameRow

SEGMENT = bytes(range(256)) * 4


async def test_playlists_and_segments_have_their_types_and_lives(bench):
    job_id = await bench.published(**{"v0_00000.m4s": SEGMENT, "manifest.mpd": b"<MPD/>"})
    base = f"{JOBS}/{job_id}/hls"

    playlist = await bench.client.get(f"{base}/master.m3u8")
    segment = await bench.client.get(f"{base}/v0_00000.m4s")
    manifest = await bench.client.get(f"{base}/manifest.mpd")

    assert playlist.headers["content-type"] == "application/vnd.apple.mpegurl"
    assert playlist.headers["cache-control"] == "private, no-cache"
    assert segment.headers["content-type"] == "video/iso.segment"
    assert "immutable" in segment.headers["cache-control"]
    assert segment.content == SEGMENT
    assert manifest.headers["content-type"] == "application/dash+xml"


async def test_a_part_of_a_file_is_served_alone(bench):
    url = f"{JOBS}/{await bench.published(v=SEGMENT)}/hls/v"
    etag = (await bench.client.head(url)).headers["etag"]

    part = await bench.client.get(url, headers={"Range": "bytes=10-19", "If-Range": etag})
    other_version = await bench.client.get(url, headers={"Range": "bytes=10-19", "If-Range": '"other"'})
    beyond = await bench.client.get(url, headers={"Range": "bytes=5000-"})

    assert (part.status_code, part.content) == (206, SEGMENT[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(SEGMENT)}"
    assert (other_version.status_code, len(other_version.content)) == (200, len(SEGMENT))
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{len(SEGMENT)}")
    assert beyond.json()["code"] == "range_not_satisfiable"


async def test_a_file_that_did_not_change_is_304_and_head_has_no_body(bench):
    url = f"{JOBS}/{await bench.published()}/hls/master.m3u8"

    head = await bench.client.head(url)
    same = await bench.client.get(url, headers={"If-None-Match": head.headers["etag"]})

    assert (head.content, head.headers["content-length"]) == (b"", "8")
    assert (same.status_code, same.content) == (304, b"")


@pytest.mark.parametrize("path", ["nothing.m4s", "../1/master.m3u8", "..%2f..%2fx", ".hidden", "a%00", "a//b", ""])
async def test_nothing_outside_the_result_is_served(bench, path):
    job_id = await bench.published()

    response = await bench.client.get(f"{JOBS}/{job_id}/hls/{path}")

    assert response.status_code == 404


async def test_a_result_that_is_not_there_yet_or_never_will_be(bench):
    running, _ = await bench.running()
    canceled = (await bench.submit())["id"]
    await bench.client.post(f"{JOBS}/{canceled}/cancel")

    early = await bench.client.get(f"{JOBS}/{running}/hls/master.m3u8")
    never = await bench.client.get(f"{JOBS}/{canceled}/manifest.json")

    assert (early.status_code, early.json()["code"]) == (409, "not_ready")
    assert (never.status_code, never.json()["code"]) == (409, "conflict")


async def test_a_published_job_says_where_to_play_it(bench):
    job_id = await bench.published()

    job = (await bench.client.get(f"{JOBS}/{job_id}")).json()

    assert job["parts"]["hls"]["playable"] is True
    assert (await bench.client.get(job["parts"]["hls"]["url"])).status_code == 200
    assert job["parts"]["hls"]["dash_url"].endswith("/hls/manifest.mpd")
    assert job["poster_url"].endswith("/hls/poster.jpg")


async def test_a_job_without_described_frames_promises_no_poster(bench):
    job_id, attempt = await bench.running(enable_llm=False)
    parts = {"hls": {"status": "succeeded"}, "context": {"status": "skipped"}}
    await bench.jobs.publish(job_id, attempt, published="default/x", parts=parts, renditions=[], warnings=[])

    assert (await bench.client.get(f"{JOBS}/{job_id}")).json()["poster_url"] is None


async def test_downloads_are_signed_for_one_object_each(bench):
    job_id = await bench.published(**{"anchors/a_0.jpg": b"jpeg"})

    listed = (await bench.client.get(f"{JOBS}/{job_id}/downloads")).json()
    by_name = {item["name"]: item for item in listed["files"]}
    url = by_name["anchors/a_0.jpg"]["url"]
    good = await bench.client.get(url)
    part = await bench.client.get(url, headers={"Range": "bytes=1-"})
    moved = await bench.client.get(url.replace("a_0.jpg", "a_1.jpg"))
    bare = await bench.client.get(url.split("?")[0])

    assert set(by_name) == {"master.m3u8", "anchors/a_0.jpg"}
    assert listed["total_bytes"] == 12
    assert (good.content, good.headers["content-type"]) == (b"jpeg", "image/jpeg")
    assert "a_0.jpg" in good.headers["content-disposition"]
    assert part.content == b"peg"
    assert (moved.status_code, bare.status_code) == (403, 403)


def said(pts: int, summary: str, *text: str) -> Description:
    context = {"summary": summary, "objects": [], "actions": [], "ocr_text": list(text)}
    return Description(pts, "visual", "local", "facts-1", 1, "done", context)


@pytest.fixture
async def seen(bench) -> str:
    """A running job with 30 frames in two scenes, described and published pictures and all."""
    job_id, attempt = await bench.running(name="beach.mp4", tags={"team": "ads"})
    fence = {"tenant_id": "default", "job_id": job_id, "attempt": attempt}
    rows = [FrameRow(n * 512, n, n * 100, n // 15, (n // 15) * 15 * 512, 0.9) for n in range(30)]
    await bench.frames.replace_frames(**fence, rows=rows)
    items = [said(0, "Dark & <quiet> street"), said(15 * 512, "=Bright beach", "EXIT 12", "@home")]
    await bench.frames.upsert_descriptions(**fence, items=items)
    prefix = f"default/jobs/{job_id}/{attempt}"
    for pts in (0, 15 * 512):
        await bench.blobs.put_bytes(f"{prefix}/anchors/a_{pts}.jpg", b"jpeg %d" % pts)
    await bench.jobs.publish(job_id, attempt, published=prefix, parts={}, renditions=[], warnings=[])
    return job_id


async def test_frames_come_in_pages(bench, seen):
    rows, cursor = [], None
    while True:
        params = {"limit": 7, **({"cursor": cursor} if cursor else {})}
        page = (await bench.client.get(f"{JOBS}/{seen}/frames", params=params)).json()
        rows += page["frames"]
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert [row["frame_no"] for row in rows] == list(range(30))
    assert rows[20]["description"]["context"]["ocr_text"] == ["EXIT 12", "@home"]
    assert set(rows[0]) == {"frame_no", "pts", "ts_ms", "scene_no", "similarity", "description"}
    assert (rows[20]["description"]["start_ms"], rows[20]["description"]["end_ms"]) == (1500, 2900)


async def test_frames_of_a_stretch(bench, seen):
    page = (await bench.client.get(f"{JOBS}/{seen}/frames", params={"from_ms": 500, "to_ms": 900})).json()

    assert [row["ts_ms"] for row in page["frames"]] == [500, 600, 700, 800, 900]


@pytest.mark.parametrize("params", [{"from_ms": -1}, {"from_ms": 2**60}, {"limit": 0}, {"cursor": "x"}])
async def test_a_wrong_stretch_is_a_problem(bench, seen, params):
    assert (await bench.client.get(f"{JOBS}/{seen}/frames", params=params)).status_code == 422


async def test_frames_as_json_lines_csv_and_captions(bench, seen):
    async def export(kind: str) -> str:
        response = await bench.client.get(f"{JOBS}/{seen}/frames", headers={"Accept": kind})
        assert response.headers["content-type"].startswith(kind)
        return response.text

    lines, table, captions = await export("application/x-ndjson"), await export("text/csv"), await export("text/vtt")

    assert [json.loads(line)["frame_no"] for line in lines.splitlines()] == list(range(30))
    assert len(table.splitlines()) == 31
    assert "'=Bright beach,EXIT 12 | @home" in table
    assert captions == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.400\nDark &amp; &lt;quiet&gt; street\n\n"
        "00:00:01.500 --> 00:00:02.900\n=Bright beach\n\n"
    )


async def test_one_frame_and_its_picture(bench, seen):
    row = await bench.client.get(f"{JOBS}/{seen}/frames/20")
    picture = await bench.client.get(f"{JOBS}/{seen}/frames/20.jpg")
    missing = await bench.client.get(f"{JOBS}/{seen}/frames/30")
    strange = await bench.client.get(f"{JOBS}/{seen}/frames/many")

    assert row.json()["ts_ms"] == 2000
    assert (picture.content, picture.headers["content-type"]) == (b"jpeg 7680", "image/jpeg")
    assert (missing.status_code, strange.status_code) == (404, 422)


async def test_search_leads_to_the_moment(bench, seen):
    found = (await bench.client.get("/api/v1/search", params={"q": "exit", "tag.team": "ads"})).json()

    moment = found["moments"][0]
    assert (found["query"], found["mode"], found["capped"]) == ("exit", "text", False)
    assert (moment["job_id"], moment["job_name"], moment["start_ms"]) == (seen, "beach.mp4", 1500)
    assert "<mark>EXIT</mark>" in moment["snippet"]
    assert moment["url"] == f"/dashboard/jobs/{seen}?t=1.500"
    assert (await bench.client.get(moment["thumbnail_url"])).content == b"jpeg 7680"


async def test_search_elsewhere_finds_nothing(bench, seen):
    other = (await bench.client.get("/api/v1/search", params={"q": "exit", "tag.team": "else"})).json()

    assert other["moments"] == []


@pytest.mark.parametrize(
    ("params", "status", "code"),
    [
        ({"q": "x", "mode": "meaning"}, 422, "not_configured"),
        ({"q": "x", "mode": "hybrid"}, 422, "not_configured"),
        ({"q": "x", "mode": "magic"}, 422, "invalid_request"),
        ({"q": "  "}, 422, "invalid_request"),
        ({}, 422, "invalid_request"),
        ({"q": "x\x00"}, 422, "invalid_request"),
        ({"q": "x", "job_id": "job_x"}, 404, "not_found"),
        ({"q": "x", "tag.\x00": "1"}, 422, "invalid_spec"),
    ],
)
async def test_a_wrong_search_is_a_problem(bench, params, status, code):
    response = await bench.client.get("/api/v1/search", params=params)

    assert (response.status_code, response.json()["code"]) == (status, code)
