"""The main job on the bundled clip, through the real service: 150 rows, exact, searchable, playable files."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any
from urllib.parse import urljoin

import m3u8
import pytest

from tests.fixtures.service import DEMO, RunningService

pytestmark = pytest.mark.xdist_group("service")

TRUTH = json.loads(DEMO.with_suffix(".json").read_text())


def frames_of(service: RunningService, job: dict[str, Any]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    with service.client as client:
        cursor: str | None = None
        while True:
            params = {"limit": 60} | ({"cursor": cursor} if cursor else {})
            page = client.get(f"/api/v1/jobs/{job['id']}/frames", params=params).json()
            rows += page["frames"]
            cursor = page["next_cursor"]
            if cursor is None:
                return rows


def test_every_source_frame_is_a_row_with_context(service: RunningService, demo_job: dict[str, Any]):
    rows = frames_of(service, demo_job)

    assert [row["frame_no"] for row in rows] == list(range(150))
    assert [row["ts_ms"] for row in rows] == [round(1000 * n / 30) for n in range(150)]
    assert all(row["description"]["status"] == "done" for row in rows)
    assert all(row["description"]["context"]["summary"] for row in rows)
    assert all(row["description"]["start_ms"] <= row["ts_ms"] <= row["description"]["end_ms"] for row in rows)


def test_scenes_change_exactly_at_the_cuts(service: RunningService, demo_job: dict[str, Any]):
    rows = frames_of(service, demo_job)

    changes = [b["frame_no"] for a, b in pairwise(rows) if a["scene_no"] != b["scene_no"]]

    assert changes == TRUTH["cuts"]


@pytest.mark.parametrize("shown", TRUTH["text"], ids=lambda shown: shown["text"])
def test_words_on_screen_are_found_at_their_second(
    service: RunningService, demo_job: dict[str, Any], shown: dict[str, Any]
):
    with service.client as client:
        found = client.get("/api/v1/search", params={"q": shown["text"], "job_id": demo_job["id"]}).json()

    best = found["moments"][0]
    assert "<mark>" in best["snippet"]
    assert abs(best["start_ms"] - shown["start_ms"]) <= 1000
    assert best["end_ms"] >= shown["start_ms"]
    assert best["start_ms"] < shown["end_ms"]


def test_a_word_that_is_nowhere_is_not_found(service: RunningService, demo_job: dict[str, Any]):
    with service.client as client:
        assert client.get("/api/v1/search", params={"q": "giraffe"}).json()["moments"] == []


def test_playlists_are_valid_and_every_segment_is_there(service: RunningService, demo_job: dict[str, Any]):
    master_url = urljoin(service.base_url, demo_job["parts"]["hls"]["url"])
    with service.client as client:
        master = m3u8.loads(client.get(master_url).text, uri=master_url)
        media = [playlist.absolute_uri for playlist in master.playlists]
        media += [item.absolute_uri for item in master.media if item.uri]
        for url in media:
            playlist = m3u8.loads(client.get(url).text, uri=url)
            assert abs(sum(segment.duration for segment in playlist.segments) - 5.0) < 0.05
            for segment in playlist.segments:
                answer = client.get(segment.absolute_uri)
                assert answer.status_code == 200
                assert answer.headers["content-type"].startswith(("video/", "audio/"))
        assert client.get(urljoin(service.base_url, demo_job["parts"]["hls"]["dash_url"])).text.startswith("<?xml")

    assert len(master.playlists) == 3
    assert all(playlist.stream_info.codecs and playlist.stream_info.resolution for playlist in master.playlists)


def test_renditions_are_measured(demo_job: dict[str, Any]):
    heights = [rendition["height"] for rendition in demo_job["renditions"]]

    assert heights == sorted(heights, reverse=True)
    assert heights[0] == 720
    assert all(rendition["bytes"] > 0 and rendition["bitrate"] > 0 for rendition in demo_job["renditions"])


def test_the_log_replays_from_where_the_reader_stopped(service: RunningService, demo_job: dict[str, Any]):
    url = f"/api/v1/jobs/{demo_job['id']}/logs"
    with service.client as client:
        whole = client.get(url, headers={"Accept": "application/x-ndjson"}).text.splitlines()
        sequence = [json.loads(line)["seq"] for line in whole]
        rest = client.get(url, params={"after": sequence[2]}, headers={"Accept": "application/x-ndjson"}).text

    assert sequence == list(range(1, len(sequence) + 1))
    assert [json.loads(line)["seq"] for line in rest.splitlines()] == sequence[3:]


def test_the_picture_of_a_frame_is_a_jpeg(service: RunningService, demo_job: dict[str, Any]):
    with service.client as client:
        answer = client.get(f"/api/v1/jobs/{demo_job['id']}/frames/75.jpg", follow_redirects=True)

    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.content.startswith(b"\xff\xd8")


def test_the_promised_metrics_count_the_job(service: RunningService, demo_job: dict[str, Any]):
    with service.client as client:
        text = client.get("/metrics").text

    assert 'jobs_total{status="succeeded"}' in text
    assert 'scheduler_jobs_scheduled_total{priority="normal"}' in text
    assert 'vidcompute_sandbox_layer_active{layer="landlock"}' in text


def test_bad_input_fails_at_once_with_advice_and_leaves_nothing(service: RunningService, tmp_path):
    broken = tmp_path / "notes.mp4"
    broken.write_text("this is no video at all\n" * 100)

    job = service.wait(service.submit(broken)["id"])

    assert (job["status"], job["attempt"], job["error"]["code"]) == ("failed", 1, "unsupported_media")
    assert job["error"]["hint"]
    assert job["parts"]["hls"]["url"] is None
    assert list((service.data_dir / "data" / "scratch").iterdir()) == []


def test_without_description_there_are_streams_and_no_rows(service: RunningService):
    job = service.wait(service.submit(enable_llm=False, outputs=[{"height": 180}], preset="fast")["id"])

    assert job["status"] == "succeeded"
    assert job["parts"]["context"]["status"] == "skipped"
    assert [rendition["height"] for rendition in job["renditions"]] == [180]
    with service.client as client:
        assert client.get(f"/api/v1/jobs/{job['id']}/frames").json()["frames"] == []


def test_a_job_can_be_canceled_while_it_runs(service: RunningService):
    job_id = service.submit(preset="quality")["id"]
    service.wait(job_id, until=lambda job: job["phase"] == "transcoding")

    with service.client as client:
        assert client.post(f"/api/v1/jobs/{job_id}/cancel").status_code in {200, 202}
    job = service.wait(job_id, within_s=30)

    assert job["status"] == "canceled"
    assert list((service.data_dir / "data" / "scratch").iterdir()) == []
