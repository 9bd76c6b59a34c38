"""The demo exits 0 only if all of its result is good: each kind of damage is found."""

import copy

import httpx
import pytest

from tests.unit.cli.service import JOB, Script, problem
from vidcompute.cli.client import Client
from vidcompute.cli.demo_checks import verify
from vidcompute.cli.state import State

TRUTH = {"frames": 3, "fps": 1, "text": [{"text": "Hi Midnight", "start_ms": 1000, "end_ms": 2000}]}
BASE = "/api/v1/jobs/job_1/hls"
GOOD_JOB = copy.deepcopy(JOB)
GOOD_JOB["parts"]["hls"]["dash_url"] = f"{BASE}/manifest.mpd"

MASTER = (
    b'#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,URI="a0.m3u8"\n#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1,URI="nowhere.m3u8"\n'
    b"#EXT-X-STREAM-INF:BANDWIDTH=1\nv0.m3u8\n"
)
MEDIA = b'#EXTM3U\n#EXT-X-MAP:URI="%s_init.mp4"\n#EXTINF:2.0,\n%s_0.m4s\n#EXTINF:1.0,\n%s_1.m4s\n#EXT-X-ENDLIST\n'


def row(n):
    return {"frame_no": n, "description": {"desc_no": 1, "context": {"summary": "dark"}}}


def answers() -> dict:
    found = {
        ("GET", f"{BASE}/master.m3u8"): MASTER,
        ("GET", f"{BASE}/manifest.mpd"): b"<MPD><Representation id='v0'/></MPD>",
        ("GET", "/api/v1/jobs/job_1/frames"): [
            {"frames": [row(0), row(1)], "next_cursor": "c"},
            {"frames": [row(2)], "next_cursor": None},
        ],
        ("GET", "/api/v1/search"): {"moments": [{"start_ms": 1000, "end_ms": 1900}]},
    }
    for name in (b"v0", b"a0"):
        found["GET", f"{BASE}/{name.decode()}.m3u8"] = MEDIA % (name, name, name)
        for part in ("init.mp4", "0.m4s", "1.m4s"):
            found["GET", f"{BASE}/{name.decode()}_{part}"] = b"bytes"
    return found


async def failures(job=GOOD_JOB, **changes) -> list[str]:
    script = Script(answers() | {("GET", path): answer for path, answer in changes.items()})
    async with Client(State("http://127.0.0.1:8080", httpx.MockTransport(script))) as client:
        checks = await verify(client, job, TRUTH)
    return [check.name for check in checks if not check.ok]


async def test_a_good_result_passes():
    assert await failures() == []


@pytest.mark.parametrize(
    ("path", "answer", "check"),
    [
        (f"{BASE}/master.m3u8", b"#EXTM3U\n", "HLS"),
        (f"{BASE}/master.m3u8", b"<html>", "HLS"),
        (f"{BASE}/v0_1.m4s", problem(404), "HLS"),
        (f"{BASE}/v0_1.m4s", b"", "HLS"),
        (f"{BASE}/a0_init.mp4", problem(404), "HLS"),
        (f"{BASE}/v0.m3u8", (MEDIA % (b"v0", b"v0", b"v0")).replace(b"2.0", b"1.0"), "HLS"),
        (f"{BASE}/v0.m3u8", (MEDIA % (b"v0", b"v0", b"v0")).replace(b"#EXT-X-ENDLIST", b""), "HLS"),
        (f"{BASE}/manifest.mpd", b"<MPD></MPD>", "DASH"),
        (f"{BASE}/manifest.mpd", problem(404), "DASH"),
        ("/api/v1/jobs/job_1/frames", {"frames": [row(0), row(1)], "next_cursor": None}, "frames"),
        ("/api/v1/jobs/job_1/frames", {"frames": [row(0), row(2), row(1)], "next_cursor": None}, "frames"),
        (
            "/api/v1/jobs/job_1/frames",
            {"frames": [row(0), row(1), {"frame_no": 2, "description": None}], "next_cursor": None},
            "frames",
        ),
        ("/api/v1/search", {"moments": []}, "search"),
        ("/api/v1/search", {"moments": [{"start_ms": 5000, "end_ms": 6000}]}, "search"),
        ("/api/v1/search", problem(500), "search"),
    ],
)
async def test_damage_is_found(path, answer, check):
    assert await failures(**{path: answer}) == [check]


async def test_a_part_that_only_half_worked_is_no_success():
    job = copy.deepcopy(GOOD_JOB)
    job["parts"]["context"]["status"] = "degraded"

    assert await failures(job) == ["job"]
