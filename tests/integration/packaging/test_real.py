"""From a source through probe, plan and encoder to a verified result: the parts agree on what they hand over."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.clips import Kitchen, RealClip
from tests.integration.media.encoding import SPEC, Encoded, encoded, measured
from tests.integration.packaging.test_package import joined, pictures
from vidcompute.domain.plan import ChunkPlan, Plan
from vidcompute.media.package import PackageInputs, package
from vidcompute.media.plan import make_plan
from vidcompute.media.verify import Verification, verify


def published(plan: Plan, made: list[Encoded], out: Path) -> Verification:
    video = {rung.name: [each.folder / f"{rung.name}.mp4" for each in made] for rung in plan.renditions}
    audio = {track.name: made[0].folder / f"{track.name}.mp4" for track in plan.audio}
    package(PackageInputs(plan, video, audio), out)
    return verify(out, plan)


async def check(clip: Path, ffmpeg: Path, tmp_path: Path) -> None:
    made = await encoded(clip, tmp_path / "0", ffmpeg)

    found = published(made.plan, [made], tmp_path / "out")

    rate = made.plan.picture.frame_rate
    assert [remark.code for remark in found.warnings if not remark.code.startswith("audio")] == []
    assert found.frames == made.plan.output_frames
    for rung in found.renditions:
        assert pictures(joined(tmp_path / "out", rung.name)) == [n / rate for n in range(found.frames)]


@pytest.mark.parametrize("name", ["plain", "late_picture", "uneven", "hidden_frames", "broadcast"])
async def test_made_clips_become_verified_results(kitchen: Kitchen, ffmpeg: Path, tmp_path: Path, name: str):
    await check(kitchen.clip(name), ffmpeg, tmp_path)


@pytest.mark.parametrize("name", ["nat_flower_960x540.mp4", "deriv_count_fingers_eng_deu.mp4", "ts_vfr_phone_720p.mp4"])
async def test_real_clips_become_verified_results(
    real_clips: dict[str, RealClip], ffmpeg: Path, tmp_path: Path, name: str
):
    await check(real_clips[name].path, ffmpeg, tmp_path)


async def test_chunks_made_apart_become_one_verified_result(kitchen: Kitchen, ffmpeg: Path, tmp_path: Path):
    clip = kitchen.clip("plain")
    whole = make_plan(measured(clip), SPEC)
    plan = replace(whole, chunks=(ChunkPlan(0, 0, whole.gop_frames), ChunkPlan(1, whole.gop_frames, None)))
    made = [await encoded(clip, tmp_path / str(chunk.index), ffmpeg, chunk=chunk) for chunk in plan.chunks]

    found = published(plan, made, tmp_path / "out")

    assert found.warnings == ()
    assert found.frames == plan.output_frames
