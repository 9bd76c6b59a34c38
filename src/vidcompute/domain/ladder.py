"""The ladder: which sizes and bit rates a source becomes. Data and arithmetic, nothing else.

Rules, in the order in which they win:

1. Never upscaled. The one exception is `MIN_SIDE_PX`: decoders refuse pictures smaller than a few blocks.
2. The short side of the upright, square-pixel picture decides, so a phone's portrait clip gets the same rungs
   as the same clip lying down.
3. Sizes are even: 4:2:0 chroma has half the samples in both directions.
4. The top rung is the source's own size, so that nothing is lost that the viewer could have seen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from vidcompute.domain.job import Codec, OutputSpec, Preset

#: No rung is smaller than this on either side; below it decoders (and Chromium's compositor) give up.
MIN_SIDE_PX = 16


@dataclass(frozen=True, slots=True)
class Ladder:
    """A ladder as data.

    `bitrate_bps_1080p` is the ceiling of an H.264 rung of 1920 × 1080 at 30 pictures a second; other sizes,
    codecs and rates follow from it (see `ceiling_bps`), so that an odd shape like 1438 × 246 gets what its pixels need.
    """

    short_sides_px: tuple[int, ...] = (2160, 1440, 1080, 720, 480, 360, 240, 144)
    #: Rungs below this exist only while there are fewer than `enough`: they serve small sources.
    low_px: int = 360
    enough: int = 3
    #: A rung closer than this to the one above is not worth its bytes: the picture is nearly the same.
    step: Fraction = Fraction(4, 5)
    #: Hardware decoders of H.264 end at 4096 samples a side.
    max_long_side_px: int = 4096
    bitrate_bps_1080p: int = 6_000_000
    #: Bits grow slower than pixels: larger pictures are smoother per pixel.
    pixel_exponent: float = 0.8


DEFAULT = Ladder()

#: What a codec needs for the same quality, relative to H.264.
EFFICIENCY = {Codec.H264: 1.0, Codec.HEVC: 0.7, Codec.VP9: 0.7, Codec.AV1: 0.6}

#: Constant-quality targets that look alike (about VMAF 93 to 95 on 1080p); scales differ per encoder.
CRF = {
    Codec.H264: {Preset.FAST: 23, Preset.BALANCED: 22, Preset.QUALITY: 20},
    Codec.HEVC: {Preset.FAST: 27, Preset.BALANCED: 25, Preset.QUALITY: 23},
    Codec.VP9: {Preset.FAST: 34, Preset.BALANCED: 32, Preset.QUALITY: 30},
    Codec.AV1: {Preset.FAST: 36, Preset.BALANCED: 34, Preset.QUALITY: 31},
}


@dataclass(frozen=True, slots=True)
class Picture:
    """The source as it is shown: upright, square pixels. `bitrate_bps` 0 means unknown."""

    width_px: int
    height_px: int
    frame_rate: Fraction
    codec: str = ""
    bitrate_bps: int = 0


@dataclass(frozen=True, slots=True)
class Wish:
    """What the caller asked for: rungs (none: choose), and what holds where a rung says nothing."""

    outputs: Sequence[OutputSpec] = ()
    codec: Codec = Codec.H264
    preset: Preset = Preset.BALANCED
    bitrate_bps: int | None = None


@dataclass(frozen=True, slots=True)
class Rung:
    """One fitted rung."""

    width_px: int
    height_px: int
    codec: Codec
    crf: int
    max_bitrate_bps: int
    target_bitrate_bps: int | None = None


@dataclass(frozen=True, slots=True)
class Fitted:
    """Rungs, best first, and sentences for people about what was not done as asked."""

    rungs: tuple[Rung, ...]
    warnings: tuple[str, ...] = ()


def fit(ladder: Ladder, *, picture: Picture, wish: Wish) -> Fitted:
    """The rungs for `picture`: exactly those asked for (never upscaled, no doubles), or chosen by the ladder."""
    warnings: list[str] = []
    outputs = wish.outputs or [OutputSpec(px) for px in heights(ladder, picture)]
    largest = top_px(ladder, picture)
    rungs: dict[tuple[int, int, Codec], Rung] = {}
    for output in sorted(outputs, key=lambda output: -output.height_px):
        if output.height_px > largest:
            warnings.append(f"{output.height_px}p was asked for; {largest}p is the largest that this source gives.")
        rung = _rung(ladder, picture, wish, output, min(output.height_px, largest))
        key = (rung.width_px, rung.height_px, rung.codec)
        if key in rungs:
            warnings.append(f"{output.height_px}p came out the same as another rung and was left out.")
        rungs.setdefault(key, rung)
    return Fitted(tuple(rungs.values()), tuple(dict.fromkeys(warnings)))


def heights(ladder: Ladder, picture: Picture) -> list[int]:
    """Short sides of the chosen rungs, in pixels, best first; at least one, the source's own size."""
    chosen = [top_px(ladder, picture)]
    for px in ladder.short_sides_px:
        far_enough = px <= chosen[-1] * ladder.step
        if far_enough and (px >= ladder.low_px or len(chosen) < ladder.enough):
            chosen.append(px)
    return chosen


def top_px(ladder: Ladder, picture: Picture) -> int:
    """Short side of the largest rung: the source's own, unless it is over the ladder's top or its longest side."""
    short, long = sorted((picture.width_px, picture.height_px))
    by_long_side = short * ladder.max_long_side_px // long if long > ladder.max_long_side_px else short
    return min(short, by_long_side, ladder.short_sides_px[0])


def scaled(width_px: int, height_px: int, *, scale: Fraction) -> tuple[int, int]:
    """(width, height) times `scale` (at most 1) in pixels: even, never above the source, at least `MIN_SIDE_PX`."""

    def side(px: int) -> int:
        # An odd source loses a row rather than gaining one: enlarging by a single row would smear all the others.
        return max(MIN_SIDE_PX, min(round(px * scale / 2) * 2, px // 2 * 2))

    return side(width_px), side(height_px)


def ceiling_bps(ladder: Ladder, *, pixels: int, frame_rate: Fraction, codec: Codec) -> int:
    """Peak bit rate of a rung of so many pixels. Above 30 pictures a second neighbours are more alike: half the extra."""
    by_size = ladder.bitrate_bps_1080p * math.pow(pixels / (1920 * 1080), ladder.pixel_exponent)
    extra_rate = max(0.0, float(frame_rate) / 30 - 1)
    # Tiny pictures still need headers and a first picture that is not mud.
    return max(50_000, round(by_size * EFFICIENCY[codec] * (1 + extra_rate / 2) / 1000) * 1000)


def _rung(ladder: Ladder, picture: Picture, wish: Wish, output: OutputSpec, short_side_px: int) -> Rung:
    width_px, height_px = _size(picture, short_side_px)
    codec = output.codec or wish.codec
    ceiling = ceiling_bps(ladder, pixels=width_px * height_px, frame_rate=picture.frame_rate, codec=codec)
    asked = output.bitrate_bps or _share_bps(ladder, picture, wish, width_px * height_px)
    return Rung(
        width_px=width_px,
        height_px=height_px,
        codec=codec,
        crf=CRF[codec][wish.preset],
        max_bitrate_bps=asked * 3 // 2 if asked else min(ceiling, _worthwhile_bps(picture, codec)),
        target_bitrate_bps=asked,
    )


def _size(picture: Picture, short_side_px: int) -> tuple[int, int]:
    scale = Fraction(short_side_px, min(picture.width_px, picture.height_px))
    return scaled(picture.width_px, picture.height_px, scale=scale)


def _share_bps(ladder: Ladder, picture: Picture, wish: Wish, pixels: int) -> int | None:
    """A bit rate given for the job belongs to the largest rung; smaller rungs get the share of their pixels."""
    if wish.bitrate_bps is None:
        return None
    largest = _size(picture, top_px(ladder, picture))
    share = min(1.0, math.pow(pixels / (largest[0] * largest[1]), ladder.pixel_exponent))
    return max(1000, round(wish.bitrate_bps * share / 1000) * 1000)


def _worthwhile_bps(picture: Picture, codec: Codec) -> int:
    """More than this cannot show: the source never had it. Thrice its rate leaves room for an older codec."""
    floor_bps = 300_000
    if picture.bitrate_bps <= 0:
        return 1 << 40
    return max(floor_bps, round(3 * picture.bitrate_bps * EFFICIENCY[codec] / 1000) * 1000)
