"""The demo's result plays to its end in real players, straight from the service that made it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.async_api import Page

from tests.e2e.static_server import serving
from tests.e2e.test_players import PLAYERS, open_player_at, play_to_end
from tests.fixtures.service import RunningService

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


@dataclass(frozen=True)
class Stage:
    players_url: str
    media_url: str


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The players on an origin of their own, and the service that lets that origin in: as with any web site."""
    folder: Path = tmp_path_factory.mktemp("demo-plays")
    with serving(players=PLAYERS) as players_url:
        service = RunningService(folder, {"VIDCOMPUTE_CORS_ORIGINS": players_url})
        try:
            service.start()
            job = service.wait(service.submit(preset="fast")["id"])
            assert job["status"] == "succeeded", job
            yield Stage(players_url, f"{service.base_url}/api/v1/jobs/{job['id']}/hls")
        finally:
            service.kill()


@pytest.mark.parametrize(
    ("player", "playlist"),
    [("hls", "master.m3u8"), ("shaka", "master.m3u8"), ("shaka", "manifest.mpd"), ("dash", "manifest.mpd")],
)
async def test_the_demo_plays_to_its_end(page: Page, stage: Stage, player: str, playlist: str):
    await open_player_at(page, stage.players_url, player, f"{stage.media_url}/{playlist}")

    after = await play_to_end(page, rate=2)

    assert after["errors"] == []
    assert after["ended"]
    assert after["durationS"] == pytest.approx(5.0, abs=0.05)
    assert after["firstFrameS"] == pytest.approx(0, abs=1 / 60)
    assert len(after["buffered"]) == 1
