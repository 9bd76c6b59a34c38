"""The chunk task: one ffmpeg process decodes once and makes every rendition and the analysis stream."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from vidcompute import wire
from vidcompute.blobs.base import Blobs
from vidcompute.domain.frames import Anchor
from vidcompute.domain.plan import ChunkPlan, Plan
from vidcompute.errors import VidcomputeError, principal
from vidcompute.media.command import chunk_command
from vidcompute.media.encode import EncodeResult, run_ffmpeg
from vidcompute.media.progress import Progress
from vidcompute.sandbox.policy import prepare_scratch
from vidcompute.tasks import outputs
from vidcompute.tasks.analyst import Analyst
from vidcompute.tasks.anchors import BATCH_SIZE, chunk_prefix, picture_key, store_batch
from vidcompute.tasks.box import ffmpeg_policy
from vidcompute.tasks.environment import Task
from vidcompute.tasks.outputs import written
from vidcompute.tasks.scratch import scratch
from vidcompute.tasks.services import opened_blobs
from vidcompute.tasks.source import StoredSource, cached


def run(task: Task) -> dict[str, Any]:
    """Result: `videos` (key and size by rendition), `frames_key`, `anchor_batches`, `anchors`, times, `analysis_error`."""
    plan = task.param("plan", Plan)
    with scratch(Path(task.environment.scratch_dir), task.spec.id) as folder:
        analyst = Analyst(task, plan.analysis, folder / "analysis") if plan.analysis else None
        return asyncio.run(_Chunk(task, plan, folder, analyst).run())


class _Chunk:
    """One chunk on its way."""

    def __init__(self, task: Task, plan: Plan, folder: Path, analyst: Analyst | None) -> None:
        self._task = task
        self._plan = plan
        self._chunk: ChunkPlan = plan.chunks[task.param("chunk", int)]
        self._folder = folder
        self._analyst = analyst
        self._work = task.param("work", str)
        self._prefix = chunk_prefix(self._work, self._chunk.index)
        self._made: list[outputs.Output] = []
        self._waiting: list[Anchor] = []
        self._batches = 0
        self._anchors = 0

    async def run(self) -> dict[str, Any]:
        source = self._task.param("source", StoredSource)
        async with opened_blobs(self._task.environment) as blobs:
            found = await outputs.find(blobs, self._prefix)
            if found is not None:
                self._task.log(f"chunk {self._chunk.index}: taken over from an earlier attempt")
                return found
            async with cached(blobs, source, Path(self._task.environment.cache_dir)) as descriptor:
                started_s = time.monotonic()
                encoded, failure = await self._make(blobs, descriptor)
                wall_s = time.monotonic() - started_s
            return await self._keep(blobs, encoded, failure, wall_s=wall_s)

    async def _make(self, blobs: Blobs, descriptor: int) -> tuple[EncodeResult, VidcomputeError | None]:
        policy = ffmpeg_policy(self._task, self._folder / "encode")
        prepare_scratch(self._folder / "encode", policy)
        if self._analyst is None:
            return await self._encode(descriptor, None), None
        reader, writer = os.pipe()
        try:
            async with asyncio.TaskGroup() as group:
                seeing = group.create_task(self._analyst.run(reader, lambda anchor: self._hear(blobs, anchor)))
                encoding = group.create_task(self._encode(descriptor, writer))
        except BaseExceptionGroup as failed:
            raise principal(failed) from failed
        return encoding.result(), seeing.result()

    async def _encode(self, descriptor: int, analysis_fd: int | None) -> EncodeResult:
        """Runs ffmpeg; the analysis pipe is closed on every way out, or its reader would wait for ever."""
        try:
            command = chunk_command(
                self._plan,
                self._chunk,
                ffmpeg=self._task.ffmpeg,
                input_fd=descriptor,
                analysis_fd=analysis_fd,
                threads=self._task.environment.threads,
            )
            return await run_ffmpeg(
                command,
                policy=ffmpeg_policy(self._task, self._folder / "encode"),
                cwd=self._folder / "encode",
                pass_fds=[fd for fd in (descriptor, analysis_fd) if fd is not None],
                on_progress=self._report,
                timeout_s=self._task.spec.timeout_s,
            )
        finally:
            if analysis_fd is not None:
                with suppress(OSError):
                    os.close(analysis_fd)

    def _report(self, progress: Progress) -> None:
        start = self._chunk.start_frame
        self._task.progress("transcoding", frame=start + progress.frame, fps=progress.fps, speed=progress.speed)

    # ---- anchors

    async def _hear(self, blobs: Blobs, anchor: Anchor) -> None:
        assert self._analyst is not None
        key = picture_key(self._work, self._chunk.index, anchor)
        info = await blobs.put_file(key, self._analyst.folder / Path(anchor.jpeg).name, move=True)
        self._made.append(outputs.Output(info.key, info.size_bytes))
        self._waiting.append(anchor)
        if len(self._waiting) >= BATCH_SIZE:
            await self._close_batch(blobs)

    async def _close_batch(self, blobs: Blobs) -> None:
        if not self._waiting:
            return
        number, self._batches = self._batches, self._batches + 1
        self._anchors += len(self._waiting)
        await store_batch(blobs, self._work, self._chunk.index, number=number, anchors=self._waiting)
        self._waiting = []
        self._task.partial(anchors={"chunk": self._chunk.index, "number": number})

    # ---- the end

    async def _keep(
        self, blobs: Blobs, encoded: EncodeResult, failure: VidcomputeError | None, *, wall_s: float
    ) -> dict[str, Any]:
        await self._close_batch(blobs)
        videos = {}
        for rung in self._plan.renditions:
            path = written(self._folder / "encode" / f"{rung.name}.mp4")
            output = await outputs.put(blobs, self._prefix, path.name, path, self._made)
            videos[rung.name] = {"key": output.key, "size_bytes": output.size_bytes}
        frames_key = None
        if self._analyst is not None and failure is None:
            path = self._analyst.table_path
            frames_key = (await outputs.put(blobs, self._prefix, path.name, path, self._made)).key
        result: dict[str, Any] = {
            "videos": videos,
            "frames_key": frames_key,
            "anchor_batches": self._batches,
            "anchors": self._anchors,
            "cpu_s": encoded.cpu_s,
            "wall_s": wall_s,
            "max_rss_bytes": encoded.max_rss_bytes,
            "decode_errors": encoded.error_lines,
            "analysis_error": wire.plain(failure.problem()) if failure else None,
        }
        # A chunk whose analysis failed is not complete: the next attempt makes it again.
        if failure is None:
            await outputs.mark(blobs, self._prefix, result, self._made)
        return result
