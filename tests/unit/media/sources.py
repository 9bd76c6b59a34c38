"""Measured sources as a test wants them."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

from vidcompute.domain.media import AudioStream, Probe, Scan, Transfer, VideoStream

_VIDEO = VideoStream(
    index=0,
    codec="h264",
    width_px=1280,
    height_px=720,
    pixel_format="yuv420p",
    bit_depth=8,
    sar=Fraction(1),
    rotation=0,
    mirrored=False,
    scan=Scan.PROGRESSIVE,
    transfer=Transfer.SDR,
    full_range=False,
    color_primaries="bt709",
    color_matrix="bt709",
    time_base=Fraction(1, 90_000),
    start=Fraction(0),
    duration=Fraction(10),
    frame_rate=Fraction(30),
    variable_rate=False,
    frames=300,
    bitrate_bps=4_000_000,
    color_transfer="bt709",
)


def video(**changes: Any) -> VideoStream:
    """720p, 30 a second, 10 s, starting at zero, but for `changes`."""
    return replace(_VIDEO, **changes)


def audio(**changes: Any) -> AudioStream:
    """Stereo AAC as long as `video()`, but for `changes`."""
    plain = AudioStream(
        index=1,
        codec="aac",
        channels=2,
        sample_rate_hz=48_000,
        language="eng",
        title="",
        default=True,
        start=Fraction(0),
        duration=Fraction(10),
    )
    return replace(plain, **changes)


def probe(picture: VideoStream | None = None, *sounds: AudioStream, **changes: Any) -> Probe:
    """A file of `picture` and `sounds`."""
    plain = Probe(
        container="mov",
        size_bytes=5_000_000,
        duration=Fraction(10),
        video=picture or video(),
        audio=sounds,
        subtitles=(),
    )
    return replace(plain, **changes)
