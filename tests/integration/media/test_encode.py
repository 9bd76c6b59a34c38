"""What ffmpeg makes of a plan: judged by reading it back."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest

from tests.clips import Kitchen, RealClip
from tests.fmp4 import samples
from tests.integration.media.encoding import Encoded, decoded_pts, encoded, measured
from vidcompute.domain.job import Codec, JobSpec, OutputSpec, Preset
from vidcompute.domain.media import Scan, Transfer

#: A few short ones that stand for their kind; the whole folder is the campaign's.
REAL = [
    "rot_90_vertical_offset_8_8fps.mp4",
    "ts_vfr_phone_720p.mp4",
    "hdr_dovi_hlg_hevc10.mov",
    "ts_editlist_ibb.mp4",
    "ts_editlist_positive_shift.mp4",
    "-video-with-dash-.mp4",
    "one_frame_av1_64x64.mp4",
    "dim_odd_bear_vp9.webm",
    "int_1080i_avchd.mts",
    "sub_srt_1080x720.mkv",
    "ts_no_duration.webm",
    "відео 🎬 naïve — 動画.mp4",
]


MADE = [
    *("plain", "silent", "odd", "squeezed", "tiny", "one_frame", "fields", "gif", "late_picture", "late_sound"),
    *("long_sound", "surround", "uneven", "fast", "slow", "hdr", "full_range", "broadcast", "hidden_frames"),
]


def check(made: Encoded, *, clip: Path) -> None:
    """Everything that holds for each clip, however odd."""
    for rung in made.plan.renditions:
        _check_rendition(made, made.folder / f"{rung.name}.mp4", (rung.width_px, rung.height_px))
    for audio in made.plan.audio:
        _check_sound(made, made.folder / f"{audio.name}.mp4")
    assert made.seen == decoded_pts(clip, made.probe.video.index)
    assert len(made.seen) == made.probe.video.frames
    assert made.sizes == {(made.plan.analysis.width_px, made.plan.analysis.height_px)}


def _check_rendition(made: Encoded, path: Path, size: tuple[int, int]) -> None:
    plan, read = made.plan, samples(path)
    ticks = plan.picture.frame_rate.denominator

    assert sorted(sample.pts for sample in read) == [n * ticks for n in range(plan.output_frames)]
    assert [sample.pts // ticks for sample in read if sample.key] == list(range(0, plan.output_frames, plan.gop_frames))
    assert all(now.dts + now.ticks == after.dts for now, after in pairwise(read))
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        pictures = list(container.decode(stream))
        assert len(pictures) == plan.output_frames
        assert (stream.width, stream.height) == size
        assert (stream.sample_aspect_ratio or 1) == 1
        assert {picture.format.name for picture in pictures} == {"yuv420p"}


def _check_sound(made: Encoded, path: Path) -> None:
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        length = sum(frame.samples for frame in container.decode(stream))
        assert stream.start_time == 0
    # AAC comes in frames of 1024: the last one is filled up.
    assert 0 <= length - round(made.plan.duration * stream.rate) < 2048
    assert samples(path)[0].dts == 0


@pytest.mark.parametrize("name", MADE)
async def test_made_clips_come_out_exact(kitchen: Kitchen, ffmpeg: Path, tmp_path: Path, name: str):
    clip = kitchen.clip(name)

    made = await encoded(clip, tmp_path / "out", ffmpeg)

    check(made, clip=clip)


@pytest.mark.parametrize("name", REAL)
async def test_real_clips_come_out_exact(real_clips: dict[str, RealClip], ffmpeg: Path, tmp_path: Path, name: str):
    clip = real_clips[name].path

    made = await encoded(clip, tmp_path / "out", ffmpeg)

    check(made, clip=clip)


@pytest.mark.parametrize("degrees", [90, 180, 270])
async def test_a_turned_clip_comes_out_upright(kitchen: Kitchen, ffmpeg: Path, tmp_path: Path, degrees: int):
    clip = kitchen.turned("silent", degrees)

    made = await encoded(clip, tmp_path / "out", ffmpeg)

    assert made.probe.video.rotation == (360 - degrees) % 360
    top = made.plan.renditions[0]
    assert (top.width_px > top.height_px) == (degrees == 180)
    check(made, clip=clip)


async def test_fields_become_pictures(kitchen: Kitchen, ffmpeg: Path, tmp_path: Path):
    made = await encoded(kitchen.clip("fields"), tmp_path / "out", ffmpeg)

    assert made.probe.video.scan is Scan.INTERLACED
    assert made.plan.output_frames == 2 * made.probe.video.frames


async def test_hdr_comes_out_as_bt709(kitchen: Kitchen, ffmpeg: Path, tmp_path: Path):
    made = await encoded(kitchen.clip("hdr"), tmp_path / "out", ffmpeg)

    assert made.probe.video.transfer is Transfer.PQ
    with av.open(str(made.folder / "v0.mp4")) as container:
        picture = next(container.decode(video=0))
    assert [int(tag) for tag in (picture.colorspace, picture.color_primaries, picture.color_trc)] == [1, 1, 1]


async def test_full_range_comes_out_limited(kitchen: Kitchen, ffmpeg: Path, tmp_path: Path):
    made = await encoded(kitchen.clip("full_range"), tmp_path / "out", ffmpeg)

    assert made.probe.video.full_range
    with av.open(str(made.folder / "v0.mp4")) as container:
        assert int(next(container.decode(video=0)).color_range) == 1


async def test_sound_before_the_picture_holds_the_first_picture(kitchen: Kitchen, ffmpeg: Path, tmp_path: Path):
    made = await encoded(kitchen.clip("late_picture"), tmp_path / "out", ffmpeg)

    assert 12 <= made.plan.lead_frames <= 13
    assert made.plan.output_frames == made.plan.lead_frames + made.probe.video.frames


async def test_sound_after_the_picture_holds_the_last_picture(kitchen: Kitchen, ffmpeg: Path, tmp_path: Path):
    made = await encoded(kitchen.clip("long_sound"), tmp_path / "out", ffmpeg)

    assert made.plan.duration == pytest.approx(3, abs=0.1)


@pytest.mark.parametrize("codec", list(Codec))
async def test_each_codec_keeps_the_grid(kitchen: Kitchen, ffmpeg: Path, tmp_path: Path, codec: Codec):
    spec = JobSpec(input="upload:x", preset=Preset.FAST, codec=codec, outputs=(OutputSpec(144),))

    made = await encoded(kitchen.clip("plain"), tmp_path / "out", ffmpeg, spec=spec)

    check(made, clip=kitchen.clip("plain"))


async def test_progress_counts_pictures_and_ends(kitchen: Kitchen, ffmpeg: Path, tmp_path: Path):
    made = await encoded(kitchen.clip("plain"), tmp_path / "out", ffmpeg)

    assert made.reports[-1].ended
    assert made.reports[-1].frame == made.result.frames == made.plan.output_frames
    assert made.result.cpu_s > 0
    assert made.result.error_lines == 0


async def test_the_same_plan_makes_the_same_bytes(kitchen: Kitchen, ffmpeg: Path, tmp_path: Path):
    first = await encoded(kitchen.clip("plain"), tmp_path / "first", ffmpeg)
    second = await encoded(kitchen.clip("plain"), tmp_path / "second", ffmpeg)

    for name in ("v0.mp4", "v1.mp4", "a0.mp4"):
        assert (first.folder / name).read_bytes() == (second.folder / name).read_bytes()


async def test_joined_recordings_are_put_end_to_end(kitchen: Kitchen, ffmpeg: Path, tmp_path: Path):
    part = kitchen.clip("broadcast")
    clip = kitchen.joined("joined.ts", part, part)

    made = await encoded(clip, tmp_path / "out", ffmpeg)

    assert made.probe.clock_jumps >= 1
    assert made.probe.video.frames == 2 * measured(part).video.frames
    assert any("end to end" in warning for warning in made.plan.warnings)
    _check_rendition(made, made.folder / "v0.mp4", (256, 144))
    _check_sound(made, made.folder / "a0.mp4")
    assert len(made.seen) == made.probe.video.frames
    assert made.seen == sorted(set(made.seen))


async def test_a_size_that_changes_midway_is_scaled(kitchen: Kitchen, ffmpeg: Path, tmp_path: Path):
    parts = []
    for number, size in enumerate(("320x240", "480x360")):
        part = tmp_path / f"{number}.ts"
        pattern = f"testsrc2=size={size}:rate=25:duration=1"
        offset = ["-output_ts_offset", str(number)]
        kitchen.run(["-f", "lavfi", "-i", pattern, "-c:v", "libx264", "-preset", "ultrafast", *offset, str(part)])
        parts.append(part)
    clip = kitchen.joined("resized.ts", *parts)

    made = await encoded(clip, tmp_path / "out", ffmpeg)

    check(made, clip=clip)
    assert made.probe.video.frames == 50


async def test_half_a_file_gives_half_a_film_and_says_so(kitchen: Kitchen, ffmpeg: Path, tmp_path: Path):
    whole = tmp_path / "whole.mkv"
    kitchen.run(["-i", str(kitchen.clip("plain")), "-c", "copy", str(whole)])
    clip = tmp_path / "half.mkv"
    clip.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])

    made = await encoded(clip, tmp_path / "out", ffmpeg)

    read = samples(made.folder / "v0.mp4")
    assert 0 < len(read) <= 60
    assert abs(len(read) - made.plan.output_frames) <= 1
    assert any("cut off" in warning for warning in made.plan.warnings)


async def test_sound_that_changes_its_format_midway_goes_on(kitchen: Kitchen, ffmpeg: Path, tmp_path: Path):
    parts = []
    for number, layout in enumerate(("stereo", "5.1")):
        part = tmp_path / f"{number}.ts"
        pattern = [
            "-f",
            "lavfi",
            "-i",
            "testsrc2=size=160x90:rate=25:duration=1",
            "-f",
            "lavfi",
            "-i",
            "sine=440:duration=1",
        ]
        sound = ["-af", f"aformat=channel_layouts={layout}", "-c:a", "ac3", "-output_ts_offset", str(number)]
        kitchen.run([*pattern, "-c:v", "libx264", "-preset", "ultrafast", *sound, str(part)])
        parts.append(part)

    made = await encoded(kitchen.joined("formats.ts", *parts), tmp_path / "out", ffmpeg)

    _check_sound(made, made.folder / "a0.mp4")
    with av.open(str(made.folder / "a0.mp4")) as container:
        late = [abs(frame.to_ndarray()).max() for frame in container.decode(audio=0) if frame.time > Fraction(3, 2)]
    assert max(late) > 0.01
