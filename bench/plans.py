"""The plan that vidcompute makes for a clip."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vidcompute import app, wire
from vidcompute.app.explain import probe_file
from vidcompute.domain.job import JobSpec, Preset
from vidcompute.media.plan import make_plan


def plan_of(clip: Path, preset: str) -> dict[str, Any]:
    """As JSON, the way it is stored."""
    config = app.load_config(None, {"log_level": "error"})
    plan = make_plan(probe_file(clip, config), JobSpec(input="bench", preset=Preset(preset)))
    found: dict[str, Any] = wire.plain(plan)
    return found
