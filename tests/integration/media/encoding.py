"""Probe, plan and encode a clip as a task does, in the box, and read the analysis stream beside it."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

import av

from vidcompute.domain.job import JobSpec, OutputSpec, Preset
from vidcompute.domain.media import Probe
from vidcompute.domain.plan import ChunkPlan, Plan
from vidcompute.media.command import audio_command, chunk_command
from vidcompute.media.encode import EncodeResult, run_ffmpeg
from vidcompute.media.plan import make_plan
from vidcompute.media.probe import probe
from vidcompute.media.progress import Progress
from vidcompute.sandbox.policy import BoxPolicy, prepare_scratch, unprivileged_ids

SPEC = JobSpec(input="upload:x", preset=Preset.FAST, outputs=(OutputSpec(144), OutputSpec(96)))


@dataclass
class Encoded:
    """What came out. `seen` are the analyst's pictures, by source pts; `sizes` their (width, height)."""

    probe: Probe
    plan: Plan
    folder: Path
    result: EncodeResult
    reports: list[Progress]
    seen: list[int]
    sizes: set[tuple[int, int]]


def measured(clip: Path) -> Probe:
    """The probe of a file."""
    descriptor = os.open(clip, os.O_RDONLY)
    try:
        return probe(descriptor)
    finally:
        os.close(descriptor)


def boxed(folder: Path) -> BoxPolicy:
    """A new scratch folder and the box that may write it."""
    policy = BoxPolicy(read_write=(folder,), cpu_s=120, user=unprivileged_ids())
    prepare_scratch(folder, policy)
    return policy


async def encoded(
    clip: Path, folder: Path, ffmpeg: Path, *, spec: JobSpec = SPEC, chunk: ChunkPlan | None = None
) -> Encoded:
    """All renditions and sounds of `clip` in `folder`."""
    source = measured(clip)
    plan = make_plan(source, spec)
    policy = boxed(folder)
    reports: list[Progress] = []
    reader, writer = os.pipe()
    descriptor = os.open(clip, os.O_RDONLY)
    command = chunk_command(
        plan, chunk or plan.chunks[0], ffmpeg=ffmpeg, input_fd=descriptor, analysis_fd=writer, threads=2
    )

    async def encode() -> EncodeResult:
        try:
            return await run_ffmpeg(command, policy=policy, cwd=folder, on_progress=reports.append, timeout_s=120)
        finally:
            os.close(writer)

    try:
        async with asyncio.TaskGroup() as group:
            seeing = group.create_task(asyncio.to_thread(_look, reader, plan))
            encoding = group.create_task(encode())
        seen, sizes = seeing.result()
        for audio in plan.audio:
            sound = audio_command(plan, audio, ffmpeg=ffmpeg, input_fd=descriptor)
            await run_ffmpeg(sound, policy=policy, cwd=folder, on_progress=lambda _: None, timeout_s=60)
    finally:
        os.close(descriptor)
    return Encoded(source, plan, folder, encoding.result(), reports, seen, sizes)


def _look(reader: int, plan: Plan) -> tuple[list[int], set[tuple[int, int]]]:
    assert plan.analysis is not None
    with os.fdopen(reader, "rb") as pipe, av.open(pipe, format="nut") as container:
        time_base = container.streams.video[0].time_base
        pictures = [(picture.pts, picture.width, picture.height) for picture in container.decode(video=0)]
    seen = [plan.analysis.source_pts(pts, time_base) for pts, _, _ in pictures]
    return seen, {(width, height) for _, width, height in pictures}


def decoded_pts(clip: Path, stream_index: int) -> list[int]:
    """Every picture's pts as a plain decode of the whole file gives it."""
    with av.open(str(clip)) as container:
        stream = container.streams[stream_index]
        return [picture.pts for picture in container.decode(stream)]
