"""A clip through the analyst, as a chunk task does it: ffmpeg writes the small pictures to a pipe."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av

from vidcompute.analysis.analyst import Span, analyse
from vidcompute.domain.frames import Anchor, FrameTable
from vidcompute.domain.job import Detail, FrameMode, Ocr
from vidcompute.domain.plan import AnalysisPlan


def plan_for(time_base: Fraction, *, mode: FrameMode = FrameMode.AUTO, per_s: float = 2.0) -> AnalysisPlan:
    return AnalysisPlan(640, 360, mode, per_s, Ocr.AUTO, Detail.LOW, None, time_base)


def stream_args(clip: Path, time_base: Fraction, target: str, *, before: Sequence[str] = ()) -> list[str]:
    return [
        *("-hide_banner", "-nostdin", "-loglevel", "error", "-copyts", *before, "-i", str(clip), "-an"),
        *("-vf", "scale='min(640,ceil(iw/2)*2)':-2:flags=bilinear", "-pix_fmt", "yuv420p"),
        *("-c:v", "rawvideo", "-fps_mode", "passthrough", "-avoid_negative_ts", "disabled"),
        *("-enc_time_base", f"{time_base.numerator}:{time_base.denominator}", "-f", "nut", target),
    ]


def pictures_of(clip: Path) -> tuple[Fraction, tuple[int, ...]]:
    """Time base and the pts of every picture, by a direct decode."""
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        assert stream.time_base is not None
        return stream.time_base, tuple(frame.pts for frame in container.decode(stream) if frame.pts is not None)


def analysed(
    ffmpeg: Path,
    clip: Path,
    folder: Path,
    *,
    mode: FrameMode = FrameMode.AUTO,
    per_s: float = 2.0,
    span: Span | None = None,
    before: Sequence[str] = (),
) -> tuple[FrameTable, list[Anchor]]:
    """The clip's table and anchors; JPEGs lie in `folder`."""
    with av.open(str(clip)) as container:
        time_base = container.streams.video[0].time_base
        assert time_base is not None
    anchors: list[Anchor] = []
    reader, writer = os.pipe()
    args = stream_args(clip, time_base, f"pipe:{writer}", before=before)
    with subprocess.Popen([str(ffmpeg), *args], pass_fds=[writer]) as encoder:
        os.close(writer)
        try:
            plan = plan_for(time_base, mode=mode, per_s=per_s)
            frames = analyse(reader, plan, folder, emit=anchors.append, span=span)
        finally:
            os.close(reader)
            encoder.kill()
    return frames, anchors


def analyse_bytes(data: bytes, folder: Path, *, plan: AnalysisPlan, emit: Callable[[Anchor], None]) -> FrameTable:
    """The same for bytes that are there already (small enough for memory)."""
    path = folder / "stream.nut"
    path.write_bytes(data)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return analyse(descriptor, plan, folder, emit=emit)
    finally:
        os.close(descriptor)
