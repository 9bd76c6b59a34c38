"""Flags of each encoder: the same intent, four dialects.

The intent: a closed group of pictures that starts exactly on the grid, in every rendition and every chunk, with
the quality held and the peak bounded (constant quality under a VBV ceiling), and bytes that depend on nothing but
plan and threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from vidcompute.domain.job import Codec, Preset
from vidcompute.domain.plan import RenditionPlan
from vidcompute.media.flags import Flag, flag

#: x264 and x265 share their names. The default is not their default: three rungs at once have to be worth waiting for.
_X26X_PRESETS = {Preset.FAST: "veryfast", Preset.BALANCED: "faster", Preset.QUALITY: "slow"}
_SVT_PRESETS = {Preset.FAST: 11, Preset.BALANCED: 9, Preset.QUALITY: 6}
_VPX_SPEEDS = {Preset.FAST: 6, Preset.BALANCED: 4, Preset.QUALITY: 2}


@dataclass(frozen=True, slots=True)
class Grid:
    """The keyframe distance in pictures, and the threads of one encoder."""

    gop_frames: int
    threads: int


def encoder_flags(rung: RenditionPlan, grid: Grid) -> list[Flag]:
    """The encoder of `rung`, without mapping and container."""
    common = flag("-threads", grid.threads, reason="a fixed count: the same chunk encodes to the same bytes anywhere")
    return [*_ENCODERS[rung.codec](rung, grid), common]


def _h264(rung: RenditionPlan, grid: Grid) -> Iterator[Flag]:
    yield flag("-c:v", "libx264", reason="H.264 plays everywhere")
    yield flag("-preset", _X26X_PRESETS[rung.preset], reason=f"how much CPU the preset {rung.preset.value!r} may cost")
    yield from _rate(rung)
    yield flag("-profile:v", "high", reason="8-bit 4:2:0 with 8×8 transforms: every decoder since 2008")
    yield from _grid(grid)
    yield flag("-forced-idr", 1, reason="a forced keyframe must be one that a player can start at")


def _hevc(rung: RenditionPlan, grid: Grid) -> Iterator[Flag]:
    yield flag("-c:v", "libx265", reason="HEVC: about 30 % fewer bits, fewer devices")
    yield flag("-preset", _X26X_PRESETS[rung.preset], reason=f"how much CPU the preset {rung.preset.value!r} may cost")
    yield from _rate(rung)
    yield flag("-profile:v", "main", reason="8-bit 4:2:0")
    yield flag("-tag:v", "hvc1", reason="Apple plays hvc1 only, not ffmpeg's default hev1")
    yield from _grid(grid)
    yield flag("-forced-idr", 1, reason="a forced keyframe must be one that a player can start at")
    params = f"open-gop=0:info=0:log-level=error:pools={grid.threads}:frame-threads=1"
    reason = "closed groups; no build string in the stream, or chunks of two machines would not join"
    yield flag("-x265-params", params, reason=reason)


def _av1(rung: RenditionPlan, grid: Grid) -> Iterator[Flag]:
    yield flag("-c:v", "libsvtav1", reason="the one AV1 encoder that is fast enough on CPUs")
    yield flag("-preset", _SVT_PRESETS[rung.preset], reason=f"how much CPU the preset {rung.preset.value!r} may cost")
    if rung.target_bitrate_bps:
        yield flag("-b:v", rung.target_bitrate_bps, reason="the bit rate that was asked for")
    else:
        yield flag("-crf", rung.crf, reason="constant quality")
        yield flag("-maxrate", rung.max_bitrate_bps, reason="the ceiling, so that the declared peak holds")
    yield flag("-g", grid.gop_frames, reason="SVT-AV1 places keyframes by count alone, so this is the grid")
    params = f"scd=0:irefresh-type=2:lp={grid.threads}"
    yield flag("-svtav1-params", params, reason="no keyframes off the grid; closed groups")


def _vp9(rung: RenditionPlan, grid: Grid) -> Iterator[Flag]:
    yield flag("-c:v", "libvpx-vp9", reason="VP9: free of fees, about 30 % fewer bits")
    yield flag("-deadline", "good", "-cpu-used", _VPX_SPEEDS[rung.preset], reason="how much CPU the preset may cost")
    yield flag("-row-mt", 1, reason="threads by rows: without it small pictures use one core")
    target = rung.target_bitrate_bps or rung.max_bitrate_bps
    yield flag("-b:v", target, reason="the ceiling of constrained quality, or the bit rate that was asked for")
    if not rung.target_bitrate_bps:
        yield flag("-crf", rung.crf, reason="constant quality below that ceiling")
    yield flag("-maxrate", rung.max_bitrate_bps, "-bufsize", 2 * rung.max_bitrate_bps, reason="the declared peak holds")
    yield flag("-auto-alt-ref", 1, "-lag-in-frames", 16, reason="look ahead; hidden frames stay inside one packet")
    yield from _grid(grid)


def _rate(rung: RenditionPlan) -> Iterator[Flag]:
    if rung.target_bitrate_bps:
        yield flag("-b:v", rung.target_bitrate_bps, reason="the bit rate that was asked for")
    else:
        yield flag("-crf", rung.crf, reason="constant quality: easy scenes cost less")
    yield flag("-maxrate", rung.max_bitrate_bps, reason="the ceiling, so that the declared peak holds")
    yield flag("-bufsize", 2 * rung.max_bitrate_bps, reason="two seconds over which the ceiling is kept")


def _grid(grid: Grid) -> Iterator[Flag]:
    expression = f"expr:not(mod(n,{grid.gop_frames}))"
    yield flag(
        "-force_key_frames", expression, reason="keyframes by count: players switch renditions only where all have one"
    )
    yield flag(
        "-g",
        2 * grid.gop_frames,
        "-keyint_min",
        grid.gop_frames,
        reason="a scene cut gets an I picture but no keyframe of its own: that would shift the ones after it",
    )
    yield flag("-flags", "+cgop+bitexact", reason="closed groups; no version strings, so that bytes can be compared")


_ENCODERS: dict[Codec, Callable[[RenditionPlan, Grid], Iterator[Flag]]] = {
    Codec.H264: _h264,
    Codec.HEVC: _hevc,
    Codec.AV1: _av1,
    Codec.VP9: _vp9,
}
