"""The commands of a plan as a shell script that can be pasted: every flag with its reason beside it."""

from __future__ import annotations

import shlex
from pathlib import Path

from vidcompute.domain.media import Probe
from vidcompute.domain.plan import Plan
from vidcompute.media.command import audio_command, chunk_command
from vidcompute.media.flags import Command

_INPUT_FD = 3
_ANALYSIS_FD = 4
#: Reasons begin in this column where the flag leaves room.
_COLUMN = 44


def explain(plan: Plan, probe: Probe, *, source: Path, ffmpeg: Path, threads: int = 2) -> str:
    """What would be run for `source`, exactly: the service differs only in the box around it and in the threads.

    The source comes in as descriptor 3, as in the service; what the analyst would read goes to analysis.nut.
    """
    parts = [_heading(plan, probe, source)]
    for chunk in plan.chunks:
        analysis_fd = _ANALYSIS_FD if plan.analysis is not None else None
        command = chunk_command(
            plan, chunk, ffmpeg=ffmpeg, input_fd=_INPUT_FD, analysis_fd=analysis_fd, threads=threads
        )
        parts.append(_script(command, source, name=f"chunk_{chunk.index}"))
    for audio in plan.audio:
        command = audio_command(plan, audio, ffmpeg=ffmpeg, input_fd=_INPUT_FD, threads=1)
        parts.append(_script(command, source, name=f"sound_{audio.name}"))
    return "\n\n".join(parts) + "\n"


def _heading(plan: Plan, probe: Probe, source: Path) -> str:
    video, picture = probe.video, plan.picture
    kind = "variable" if video.variable_rate else "constant"
    came = f"{video.codec} {video.width_px} × {video.height_px} {video.pixel_format}"
    segment_s = float(plan.segment_frames / picture.frame_rate)
    lines = [
        f"{source.name}: {probe.container}, {came}, {float(probe.duration):.3f} s",
        f"in: {video.frames} pictures at {video.frame_rate} a second ({kind})",
        f"out: {plan.output_frames} pictures at {picture.frame_rate} a second",
        f"grid: a keyframe every {plan.gop_frames}, a segment every {plan.segment_frames} ({segment_s:.3f} s)",
    ]
    if video.rotation:
        lines.append(f"turned by {video.rotation}° clockwise (ffmpeg does so by itself, from the display matrix)")
    if plan.lead_frames:
        lines.append(f"the first picture is held for {plan.lead_frames} more, because sound begins before it")
    if plan.tail_frames:
        lines.append(f"the last picture is held for {plan.tail_frames} more, because sound goes on after it")
    lines += [f"note: {warning}" for warning in plan.warnings]
    # A file name may hold a line end, and a comment ends there.
    return "\n".join("# " + " ".join(line.split()) for line in lines)


def _script(command: Command, source: Path, *, name: str) -> str:
    lines = [f"{name}=("]
    for part in command.flags:
        words = "  " + shlex.join(part.args)
        lines.append(f"{words:<{_COLUMN}}  # {part.reason}" if part.reason else words)
    lines.append(")")
    redirect = f"{_INPUT_FD}<{shlex.quote(str(source))}"
    if command.analysis_fd is not None:
        redirect += f" {command.analysis_fd}>analysis.nut"
    lines.append(f'{shlex.quote(str(command.program))} "${{{name}[@]}}" {redirect}')
    return "\n".join(lines)
