"""What the probe measures, on clips made for it and on every real one."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import pytest

from tests.clips import Kitchen, RealClip
from tests.integration.media.encoding import measured
from vidcompute.domain.media import Scan, Transfer
from vidcompute.errors import EncryptedMedia, LimitExceeded, NoVideo, UnsupportedMedia, VidcomputeError
from vidcompute.media.probe import probe
from vidcompute.media.scan import ProbeLimits

#: Where the manifest counts something else than pictures that are shown, or chose another stream.
OTHER_TRUTH = {
    "spk_nasa_2video_2audio_2subs.mp4": "the manifest describes the smaller of two video streams",
    "sub_srt_1080x720.mkv": "1000 a second is the time base; the pictures come 30 a second",
    "extended/ts_hugeoffset_37489s.ts": "two leading pictures refer to a group that was cut off",
}


def refused(path: Path, kind: type[VidcomputeError], limits: ProbeLimits | None = None) -> VidcomputeError:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with pytest.raises(kind) as caught:
            probe(descriptor, limits)
    finally:
        os.close(descriptor)
    return caught.value


def written(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "film.mp4"
    path.write_bytes(data)
    return path


def test_every_fact_of_a_plain_clip(kitchen: Kitchen):
    source = measured(kitchen.clip("plain"))

    video = source.video
    assert (source.container, video.codec, video.width_px, video.height_px) == ("mov", "h264", 320, 180)
    assert (video.frames, video.frame_rate, video.variable_rate) == (90, Fraction(30000, 1001), False)
    assert (video.start, video.duration) == (0, Fraction(3003, 1000))
    assert (video.pixel_format, video.bit_depth, video.sar, video.rotation) == ("yuv420p", 8, 1, 0)
    assert [(audio.codec, audio.channels, audio.start) for audio in source.audio] == [("aac", 1, 0)]
    assert float(source.audio[0].duration) == pytest.approx(3.003, abs=0.03)
    assert source.warnings == ()


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_rotation_is_clockwise_to_upright(kitchen: Kitchen, degrees: int):
    assert measured(kitchen.turned("silent", degrees)).video.rotation == (360 - degrees) % 360


def test_pixels_that_are_not_square(kitchen: Kitchen):
    video = measured(kitchen.clip("squeezed")).video

    assert (video.sar, video.display_width_px, video.display_height_px) == (Fraction(16, 15), 192, 144)


def test_interlaced_pictures_are_told_by_decoding(kitchen: Kitchen):
    assert measured(kitchen.clip("fields")).video.scan is Scan.INTERLACED
    assert measured(kitchen.clip("broadcast")).video.scan is Scan.PROGRESSIVE


def test_hdr_is_told_by_its_transfer(kitchen: Kitchen):
    video = measured(kitchen.clip("hdr")).video

    assert (video.transfer, video.bit_depth, video.color_matrix) == (Transfer.PQ, 10, "bt2020nc")


def test_reference_frames_that_are_never_shown_do_not_count(kitchen: Kitchen):
    assert measured(kitchen.clip("hidden_frames")).video.frames == 60


def test_a_variable_rate_keeps_its_usual_one(kitchen: Kitchen):
    video = measured(kitchen.clip("uneven")).video

    assert video.variable_rate
    assert video.usual_rate == 30
    assert video.frame_rate < 30


def test_a_single_picture_lasts_as_long_as_its_rate_says(kitchen: Kitchen):
    video = measured(kitchen.clip("one_frame")).video

    assert (video.frames, video.duration) == (1, Fraction(1, 25))


def test_a_picture_that_begins_after_the_sound(kitchen: Kitchen):
    source = measured(kitchen.clip("late_picture"))

    assert float(source.video.start - source.audio[0].start) == pytest.approx(0.48, abs=0.03)


def test_probing_moves_no_further_than_the_descriptor_it_was_given(kitchen: Kitchen):
    descriptor = os.open(kitchen.clip("plain"), os.O_RDONLY)
    try:
        os.lseek(descriptor, 1000, os.SEEK_SET)
        first, second = probe(descriptor), probe(descriptor)
    finally:
        os.close(descriptor)

    assert first == second


def test_sound_alone_is_refused(kitchen: Kitchen):
    assert refused(kitchen.clip("sound_only"), NoVideo).detail == "The file holds only sound (aac)."


def test_a_still_gif_is_refused(kitchen: Kitchen):
    assert "still image (GIF" in refused(kitchen.clip("still_gif"), NoVideo).detail


def test_an_index_without_pictures_is_refused(kitchen: Kitchen, tmp_path: Path):
    path = tmp_path / "fast.mp4"
    kitchen.run(["-i", str(kitchen.clip("plain")), "-c", "copy", "-movflags", "+faststart", str(path)])
    data = path.read_bytes()

    error = refused(written(tmp_path, data[: data.index(b"mdat") - 4]), UnsupportedMedia)

    assert "holds not one of its pictures" in error.detail


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (ProbeLimits(max_pixels=320 * 180 - 1), "320 × 180; the limit is 57599 pixels (MAX_PIXELS)"),
        (ProbeLimits(max_duration_s=2), "lasts 3 s; the limit is 2 s (MAX_DURATION_S)"),
        (ProbeLimits(max_streams=1), "2 streams; the limit is 1 (MAX_STREAMS)"),
        (ProbeLimits(max_size_bytes=1000), "the limit is 1000 (MAX_UPLOAD_BYTES)"),
    ],
)
def test_limits_are_named_with_their_setting_and_what_was_found(kitchen: Kitchen, limits: ProbeLimits, words: str):
    assert words in refused(kitchen.clip("plain"), LimitExceeded, limits).detail


def test_a_slow_read_ends_at_its_limit(kitchen: Kitchen):
    descriptor = os.open(kitchen.clip("plain"), os.O_RDONLY)
    ticks = iter(range(0, 10_000, 100))
    try:
        with pytest.raises(LimitExceeded, match="longer than 50 s"):
            probe(descriptor, ProbeLimits(timeout_s=50), clock=lambda: float(next(ticks)))
    finally:
        os.close(descriptor)


def test_a_half_file_is_measured_and_the_loss_is_said(kitchen: Kitchen, tmp_path: Path):
    path = tmp_path / "fast.mp4"
    kitchen.run(["-i", str(kitchen.clip("plain")), "-c", "copy", "-movflags", "+faststart", str(path)])
    data = path.read_bytes()

    source = measured(written(tmp_path, data[: len(data) // 2]))

    assert 0 < source.video.frames < 90
    assert any("promises 3.0 s" in warning for warning in source.warnings)


# ---- real clips


def test_every_real_clip_is_measured_as_the_manifest_says(real_clips: dict[str, RealClip]):
    wrong = {}
    for name, clip in real_clips.items():
        if clip.facts["expected"] == "ok" and name not in OTHER_TRUTH:
            differences = _differences(clip)
            if differences:
                wrong[name] = differences

    assert wrong == {}


def test_every_bad_real_clip_is_refused_in_words(real_clips: dict[str, RealClip]):
    for clip in real_clips.values():
        if clip.refused and "or ok" not in clip.facts["expected"]:
            error = refused(clip.path, VidcomputeError)

            assert not error.retryable
            assert error.detail
            assert error.hint


def test_encrypted_samples_are_refused(real_clips: dict[str, RealClip]):
    refused(real_clips["bad_encrypted_cenc.mp4"].path, EncryptedMedia)


def test_partly_damaged_clips_are_measured(real_clips: dict[str, RealClip]):
    for clip in real_clips.values():
        if clip.facts["expected"] == "ok-or-partial":
            assert measured(clip.path).video.frames > 0


def _differences(clip: RealClip) -> list[str]:
    facts, source = clip.facts, measured(clip.path)
    video = source.video
    found = {
        "container": source.container,
        "video_codec": video.codec,
        "wxh": f"{video.width_px}x{video.height_px}",
        "frames_decoded": str(video.frames),
        "sar": str(video.sar),
        "rotation": str(video.rotation),
    }
    told = {
        **{key: facts[key] for key in ("container", "video_codec", "wxh", "frames_decoded")},
        "sar": facts["sar"] or "1",
        "rotation": str(round(-float(facts["rotation"] or 0)) % 360),
    }
    differences = [f"{key}: {found[key]} instead of {told[key]}" for key in told if found[key] != told[key]]
    rate = float(facts["fps_avg"]) if facts["fps_avg"] not in {"", "None"} else None
    # What the manifest calls the average counts the last picture's length, which variable rates do not agree on.
    if rate and facts["vfr"] == "no" and abs(float(video.frame_rate) - rate) > rate / 50:
        differences.append(f"rate: {float(video.frame_rate)} instead of {rate}")
    if len(source.audio) != len([part for part in facts["audio"].split(" | ") if part and not part.startswith("none")]):
        differences.append(f"sound: {len(source.audio)} instead of {facts['audio']}")
    return differences
