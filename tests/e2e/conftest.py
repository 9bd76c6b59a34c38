"""Fixtures: the built dashboard before a small service."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import stage
from tests.e2e.fake_api import FakeApi, serving

ROOT = Path(__file__).resolve().parents[2]
WEB = ROOT / "src" / "vidcompute" / "web"


@pytest.fixture(scope="session")
def built() -> Path:
    """The built page; nothing is done when it is fresh."""
    subprocess.run([sys.executable, str(ROOT / "scripts" / "build_web.py")], check=True, timeout=300)
    return WEB


@pytest.fixture(scope="session")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an HLS stream in `hls` and a picture."""
    folder = tmp_path_factory.mktemp("stage")
    stage.make_stream(folder / "hls")
    stage.make_picture(folder / "picture.jpg")
    return folder


@pytest.fixture
def api(built: Path, media: Path) -> Iterator[FakeApi]:
    """A service with a job in every state."""
    streams = {"job_done": media / "hls", "job_warned": media / "hls"}
    fake = FakeApi(built, picture=(media / "picture.jpg").read_bytes(), streams=streams)
    stage.populate(fake)
    with serving(fake):
        yield fake


@pytest.fixture
def fresh(built: Path) -> Iterator[FakeApi]:
    """A service on its first day."""
    with serving(FakeApi(built)) as fake:
        yield fake
