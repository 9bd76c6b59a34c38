"""Manifests that were not measured, for tests of what is written from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from tests.unit.media.synthetic import RATE
from vidcompute.domain.media import Transfer
from vidcompute.media.manifest import AudioRendition, Manifest, PublishedFile, Rendition, Segment


def segments(name: str, durations: Sequence[int], sizes: Sequence[int] = ()) -> tuple[Segment, ...]:
    starts = [sum(durations[:index]) for index in range(len(durations))]
    return tuple(
        Segment(f"{name}_{index:05}.m4s", size, "0" * 64, start, duration, duration // 1001)
        for index, (start, duration, size) in enumerate(
            zip(starts, durations, sizes or [1000] * len(durations), strict=True)
        )
    )


def rendition(name: str = "v0", *, durations: Sequence[int] = (180180, 180180, 100100), **changes: Any) -> Rendition:
    made = Rendition(
        name=name,
        codec="avc1.64001f",
        timescale=30000,
        duration=Fraction(sum(durations), 30000),
        size_bytes=3000,
        bitrate_bps=900_000,
        peak_bitrate_bps=1_000_000,
        playlist_uri=f"{name}.m3u8",
        init=PublishedFile(f"{name}_init.mp4", 700, "0" * 64),
        segments=segments(name, durations),
        width_px=1280,
        height_px=720,
        frame_rate=RATE,
        frames=sum(durations) // 1001,
        transfer=Transfer.SDR,
    )
    return replace(made, **changes)


def sound(name: str = "a0", *, durations: Sequence[int] = (288768, 287744, 160000), **changes: Any) -> AudioRendition:
    made = AudioRendition(
        name=name,
        codec="mp4a.40.2",
        timescale=48000,
        duration=Fraction(sum(durations), 48000),
        size_bytes=3000,
        bitrate_bps=96_000,
        peak_bitrate_bps=100_000,
        playlist_uri=f"{name}.m3u8",
        init=PublishedFile(f"{name}_init.mp4", 700, "0" * 64),
        segments=segments(name, durations),
        language="en",
        label="en",
        default=True,
        channels=2,
        sample_rate_hz=48000,
    )
    return replace(made, **changes)


def manifest(
    *, renditions: Sequence[Rendition] | None = None, audio: Sequence[AudioRendition] = (), **changes: Any
) -> Manifest:
    rungs = tuple(renditions or [rendition()])
    made = Manifest(
        version=1,
        duration=rungs[0].duration,
        frames=rungs[0].frames,
        frame_rate=RATE,
        segment_frames=180,
        target_duration_s=6,
        master_uri="master.m3u8",
        mpd_uri="manifest.mpd",
        renditions=rungs,
        audio=tuple(audio),
    )
    return replace(made, **changes)
