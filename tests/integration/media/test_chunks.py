"""Chunks made apart join as if the file had been encoded in one go."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clips import Kitchen, RealClip
from tests.fmp4 import init_segment, samples
from tests.integration.media.encoding import encoded, measured
from vidcompute.domain.job import JobSpec, OutputSpec, Preset
from vidcompute.domain.plan import ChunkPlan
from vidcompute.media.plan import make_plan

SPEC = JobSpec(input="upload:x", preset=Preset.FAST, outputs=(OutputSpec(96),))


async def check(clip: Path, ffmpeg: Path, tmp_path: Path, *, cut_at: int) -> None:
    plan = make_plan(measured(clip), SPEC)
    whole = await encoded(clip, tmp_path / "whole", ffmpeg, spec=SPEC)

    first = await encoded(clip, tmp_path / "0", ffmpeg, spec=SPEC, chunk=ChunkPlan(0, 0, cut_at))
    second = await encoded(clip, tmp_path / "1", ffmpeg, spec=SPEC, chunk=ChunkPlan(1, cut_at, None))

    parts = [samples(made.folder / "v0.mp4") for made in (first, second)]
    ticks = plan.picture.frame_rate.denominator
    assert [len(part) for part in parts] == [cut_at, plan.output_frames - cut_at]
    assert parts[1][0].dts == parts[1][0].pts == cut_at * ticks
    assert sorted(sample.pts for part in parts for sample in part) == [n * ticks for n in range(plan.output_frames)]
    assert len({init_segment(made.folder / "v0.mp4") for made in (whole, first, second)}) == 1
    assert first.seen + second.seen == whole.seen


@pytest.mark.parametrize("name", ["plain", "late_picture", "uneven", "hidden_frames", "broadcast"])
async def test_made_clips_join(kitchen: Kitchen, ffmpeg: Path, tmp_path: Path, name: str):
    await check(kitchen.clip(name), ffmpeg, tmp_path, cut_at=24)


@pytest.mark.parametrize("name", ["nat_flower_fragmented.mp4", "deriv_count_fingers_eng_deu.mp4"])
async def test_real_clips_join(real_clips: dict[str, RealClip], ffmpeg: Path, tmp_path: Path, name: str):
    await check(real_clips[name].path, ffmpeg, tmp_path, cut_at=120)
