"""The judges: what we publish must play in the players that people use, in a real browser."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.async_api import Page
from playwright.async_api import TimeoutError as TookTooLong

from tests.e2e.static_server import serving
from tests.integration.packaging.encoded import encode
from tests.unit.media.synthetic import RATE, audio_plan

PLAYERS = Path(__file__).parents[1] / "players"
FRAMES = 200
DURATION_S = float(FRAMES / RATE)
HALF_FRAME_S = float(1 / RATE / 2)
AAC_PACKET_S = 1024 / 48000
#: Software decoding on a busy machine is slow; a player that is stuck stays stuck.
PATIENCE_S = 60

JUDGES = [("hls", "master.m3u8"), ("shaka", "master.m3u8"), ("shaka", "manifest.mpd"), ("dash", "manifest.mpd")]

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


@pytest.fixture(scope="module")
def base_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with a result of two rungs and two languages from three chunks, one of one picture, and the players."""
    if not (PLAYERS / "node_modules").is_dir():
        cure = "the players are not installed; run: python scripts/install_players.py"
        if os.environ.get("CI", "").lower() in {"1", "true"}:
            pytest.fail(cure)
        pytest.skip(cure)
    work = tmp_path_factory.mktemp("players")
    sounds = [audio_plan("a0"), audio_plan("a1", language="deu", default=False)]
    rungs = [("v0", 320, 180), ("v1", 128, 72)]
    encode(work, frames=FRAMES, chunk_starts=[0, 90, 120], rungs=rungs, audio=sounds).package(work / "usual")
    encode(work, frames=1).package(work / "one")
    encode(work, frames=45, audio=sounds[:1]).package(work / "short")
    with serving(players=PLAYERS, media=work) as url:
        yield url


async def open_player(page: Page, base_url: str, player: str, source: str) -> None:
    await open_player_at(page, base_url, player, f"{base_url}/media/{source}")


async def open_player_at(page: Page, base_url: str, player: str, url: str) -> None:
    query = urlencode({"player": player, "source": url})
    await page.goto(f"{base_url}/players/index.html?{query}")
    await until(page, "document.querySelector('video').readyState >= 2")


async def until(page: Page, condition: str) -> None:
    """Waits for a condition or an error of the player; if neither comes, the failure shows the player's state."""
    try:
        await page.wait_for_function(f"judge.errors.length || ({condition})", timeout=PATIENCE_S * 1000)
    except TookTooLong:
        pytest.fail(f"not within {PATIENCE_S} s: {condition}; {await report(page)}")


async def play_to_end(page: Page, *, rate: float) -> dict[str, Any]:
    await page.evaluate(f"judge.play({rate})")
    await until(page, "judge.ended")
    return await report(page)


async def seek(page: Page, seconds: float) -> dict[str, Any]:
    await page.evaluate(f"judge.seek({seconds})")
    await until(page, "judge.arrived")
    return await report(page)


async def report(page: Page) -> dict[str, Any]:
    return await page.evaluate("judge.report()")


def covers(ranges: list[list[float]], *, start_s: float, end_s: float, within_s: float) -> bool:
    """Whether `ranges` is one range from start to end."""
    return ranges == [[pytest.approx(start_s, abs=within_s), pytest.approx(end_s, abs=within_s)]]


@pytest.mark.parametrize(("player", "playlist"), JUDGES)
async def test_a_stream_plays_from_its_first_picture_to_its_end(page: Page, base_url: str, player: str, playlist: str):
    await open_player(page, base_url, player, f"usual/{playlist}")
    before = await report(page)
    after = await play_to_end(page, rate=4)

    assert after["errors"] == []
    assert before["firstFrameS"] == pytest.approx(0, abs=HALF_FRAME_S)
    assert after["durationS"] == pytest.approx(DURATION_S, abs=2 * AAC_PACKET_S)
    assert after["currentS"] == pytest.approx(after["durationS"], abs=0.001)
    tracks = after["tracks"]
    assert covers(tracks["video"], start_s=0, end_s=DURATION_S, within_s=HALF_FRAME_S), tracks
    assert covers(tracks["audio"], start_s=0, end_s=DURATION_S, within_s=AAC_PACKET_S), tracks
    assert len(after["buffered"]) == 1


@pytest.mark.parametrize(("player", "playlist"), JUDGES)
async def test_seeking_near_the_end_and_back_works(page: Page, base_url: str, player: str, playlist: str):
    await open_player(page, base_url, player, f"usual/{playlist}")

    if player == "dash":
        # dash.js forgets a segment whose request a seek cut off, and stalls before the hole. The stream is judged
        # here, so it may finish loading; the other judges seek while they load.
        await until(page, "judge.whole()")
    near_end = await seek(page, DURATION_S - 0.3)
    await seek(page, 2.5)
    after = await play_to_end(page, rate=4)

    assert near_end["currentS"] == pytest.approx(DURATION_S - 0.3, abs=HALF_FRAME_S)
    assert after["errors"] == []
    assert after["ended"]


@pytest.mark.parametrize(("player", "playlist"), JUDGES)
async def test_a_clip_shorter_than_a_segment_plays(page: Page, base_url: str, player: str, playlist: str):
    await open_player(page, base_url, player, f"short/{playlist}")
    after = await play_to_end(page, rate=1)

    assert after["errors"] == []
    assert after["frames"] > 40


@pytest.mark.parametrize(("player", "playlist"), JUDGES)
async def test_a_clip_of_one_picture_shows_it(page: Page, base_url: str, player: str, playlist: str):
    await open_player(page, base_url, player, f"one/{playlist}")
    found = await report(page)

    assert found["errors"] == []
    assert found["firstFrameS"] == pytest.approx(0, abs=HALF_FRAME_S)
