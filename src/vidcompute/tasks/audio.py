"""The audio task: one sound track, encoded once and whole, never in chunks."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

from vidcompute.domain.plan import Plan
from vidcompute.media.command import audio_command
from vidcompute.media.encode import run_ffmpeg
from vidcompute.sandbox.policy import prepare_scratch
from vidcompute.tasks import outputs
from vidcompute.tasks.box import ffmpeg_policy
from vidcompute.tasks.environment import Task
from vidcompute.tasks.outputs import written
from vidcompute.tasks.scratch import scratch
from vidcompute.tasks.services import opened_blobs
from vidcompute.tasks.source import StoredSource, cached


def run(task: Task) -> dict[str, Any]:
    """Result: `{"key": …, "size_bytes": …, "cpu_s": …, "wall_s": …}` of the encoded track."""
    return asyncio.run(_run(task))


async def _run(task: Task) -> dict[str, Any]:
    environment = task.environment
    plan = task.param("plan", Plan)
    track = plan.audio[task.param("audio", int)]
    prefix = f"{task.param('work', str)}/{track.name}"
    async with opened_blobs(environment) as blobs:
        found = await outputs.find(blobs, prefix)
        if found is not None:
            return found
        with scratch(Path(environment.scratch_dir), task.spec.id) as folder:
            policy = ffmpeg_policy(task, folder / "encode")
            prepare_scratch(folder / "encode", policy)
            started_s = time.monotonic()
            source = task.param("source", StoredSource)
            async with cached(blobs, source, Path(environment.cache_dir)) as descriptor:
                encoded = await run_ffmpeg(
                    audio_command(plan, track, ffmpeg=task.ffmpeg, input_fd=descriptor),
                    policy=policy,
                    cwd=folder / "encode",
                    pass_fds=[descriptor],
                    on_progress=lambda _: None,
                    timeout_s=task.spec.timeout_s,
                )
            made: list[outputs.Output] = []
            path = written(folder / "encode" / f"{track.name}.mp4")
            output = await outputs.put(blobs, prefix, path.name, path, made)
            result = {
                "key": output.key,
                "size_bytes": output.size_bytes,
                "cpu_s": encoded.cpu_s,
                "wall_s": time.monotonic() - started_s,
            }
            await outputs.mark(blobs, prefix, result, made)
            return result
