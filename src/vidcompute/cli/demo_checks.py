"""What makes the demo's result good: read back over HTTP as any player or program would."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

from vidcompute.cli.client import API, Client
from vidcompute.cli.state import CliError

#: A published duration may differ from the source's by a frame and the audio's last packet.
_DURATION_TOLERANCE_S = 0.25
#: On-screen words are found by the run of frames that shares their description; those runs have coarse ends.
_MOMENT_TOLERANCE_MS = 500
_ATTRIBUTE_URI = re.compile(r'URI="([^"]+)"')


@dataclass(frozen=True, slots=True)
class Check:
    """One fact about the result."""

    name: str
    ok: bool
    detail: str


async def verify(client: Client, job: dict[str, Any], truth: dict[str, Any]) -> list[Check]:
    """Every check in order; `truth` is what is known of the clip (assets/demo.json). Never raises for a bad result."""
    done = []
    for name, check in _CHECKS.items():
        try:
            done.append(Check(name, ok=True, detail=await check(client, job, truth)))
        except (_Wrong, CliError, KeyError, ValueError) as error:
            done.append(Check(name, ok=False, detail=str(error) or type(error).__name__))
    return done


class _Wrong(Exception):
    """The result is not what it must be."""


def _must(holds: object, otherwise: str) -> None:
    if not holds:
        raise _Wrong(otherwise)


async def _succeeded(_: Client, job: dict[str, Any], __: dict[str, Any]) -> str:
    _must(job["status"] == "succeeded", f"the job {job['status']}")
    for name, part in job["parts"].items():
        _must(part["status"] == "succeeded", f"the part {name} is {part['status']}")
    return f"succeeded, {len(job['renditions'])} renditions"


async def _hls(client: Client, job: dict[str, Any], truth: dict[str, Any]) -> str:
    """Multivariant playlist → media playlists → every segment, all there, all of the right length."""
    url = job["parts"]["hls"]["url"]
    master = (await client.raw(url)).text
    _must(master.startswith("#EXTM3U"), "master.m3u8 is no playlist")
    variants = {line for line in master.splitlines() if line and not line.startswith("#")}
    named = {match for line in master.splitlines() if line.startswith("#EXT-X-MEDIA:") for match in _uris(line)}
    _must(len(variants) >= len(job["renditions"]), f"{len(variants)} variants for {len(job['renditions'])} renditions")
    files = total_bytes = 0
    for playlist in sorted(variants | named):
        base = urljoin(url, playlist)
        text = (await client.raw(base)).text
        _check_length(playlist, text, truth)
        for segment in _segments(text):
            body = (await client.raw(urljoin(base, segment))).content
            _must(body, f"{segment} is empty")
            files += 1
            total_bytes += len(body)
    return f"{len(variants)} variants, {files} files, {total_bytes / 1e6:.1f} MB, all read back"


def _uris(line: str) -> list[str]:
    return _ATTRIBUTE_URI.findall(line)


def _segments(playlist: str) -> list[str]:
    lines = playlist.splitlines()
    maps = [uri for line in lines if line.startswith("#EXT-X-MAP:") for uri in _uris(line)]
    return [*dict.fromkeys(maps), *(line for line in lines if line and not line.startswith("#"))]


def _check_length(name: str, playlist: str, truth: dict[str, Any]) -> None:
    _must("#EXT-X-ENDLIST" in playlist, f"{name} has no end")
    length_s = sum(float(found) for found in re.findall(r"#EXTINF:([0-9.]+)", playlist))
    wanted_s = truth["frames"] / truth["fps"]
    _must(abs(length_s - wanted_s) <= _DURATION_TOLERANCE_S, f"{name} is {length_s:.3f} s long, not {wanted_s:.3f} s")


async def _dash(client: Client, job: dict[str, Any], _: dict[str, Any]) -> str:
    url = job["parts"]["hls"]["dash_url"]
    manifest = (await client.raw(url)).text
    _must("<MPD" in manifest, "manifest.mpd is no MPD")
    count = len(re.findall(r"<Representation\b", manifest))
    _must(count >= len(job["renditions"]), f"{count} representations for {len(job['renditions'])} renditions")
    return f"{count} representations over the same files"


async def _frames(client: Client, job: dict[str, Any], truth: dict[str, Any]) -> str:
    rows: list[dict[str, Any]] = []
    cursor = None
    while True:
        page = await client.get(f"{API}/jobs/{job['id']}/frames", {"limit": 200, "cursor": cursor})
        rows += page["frames"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    wanted = truth["frames"]
    _must([row["frame_no"] for row in rows] == list(range(wanted)), f"{len(rows)} rows, not {wanted} in order")
    bare = [
        row["frame_no"] for row in rows if not (row["description"] and row["description"]["context"].get("summary"))
    ]
    _must(not bare, f"{len(bare)} frames without context, the first is {bare[:1]}")
    said = {row["description"]["desc_no"] for row in rows}
    return f"{len(rows)} rows, each with context; {len(said)} descriptions"


async def _search(client: Client, job: dict[str, Any], truth: dict[str, Any]) -> str:
    """A word that is on the screen leads to the second at which it is."""
    found = []
    for line in truth["text"]:
        word = max(re.findall(r"\w+", line["text"]), key=len)
        page = await client.get(f"{API}/search", {"q": word, "job_id": job["id"]})
        start_ms, end_ms = line["start_ms"] - _MOMENT_TOLERANCE_MS, line["end_ms"] + _MOMENT_TOLERANCE_MS
        hit = next((m for m in page["moments"] if start_ms <= m["start_ms"] and m["end_ms"] <= end_ms), None)
        _must(hit, f"{word!r} is on screen at {line['start_ms'] / 1000:.1f} s, but search finds {_times(page)}")
        found.append(f"“{word}” at {hit['start_ms'] / 1000:.1f} s" if hit else "")
    return ", ".join(found)


def _times(page: dict[str, Any]) -> str:
    times = [f"{moment['start_ms'] / 1000:.1f}–{moment['end_ms'] / 1000:.1f} s" for moment in page["moments"]]
    return ", ".join(times) or "nothing"


_CHECKS: dict[str, Callable[[Client, dict[str, Any], dict[str, Any]], Coroutine[Any, Any, str]]] = {
    "job": _succeeded,
    "HLS": _hls,
    "DASH": _dash,
    "frames": _frames,
    "search": _search,
}
