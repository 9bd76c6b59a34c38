"""The frames task: number frames and scenes over all chunks, and store a row for every frame of the source."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from vidcompute.analysis import table
from vidcompute.blobs.base import Blobs
from vidcompute.domain.frames import Anchor, FrameTable, merge
from vidcompute.domain.plan import Plan
from vidcompute.errors import OutputInvalid
from vidcompute.store.frames import FrameRow, FrameStore
from vidcompute.tasks.anchors import all_anchors
from vidcompute.tasks.environment import Task
from vidcompute.tasks.services import opened_blobs, opened_database


def run(task: Task) -> dict[str, Any]:
    """Result: `{"frames": n}`. Rows of an earlier attempt are replaced in the same transaction."""
    return asyncio.run(_run(task))


async def _run(task: Task) -> dict[str, Any]:
    spec = task.spec
    plan = task.param("plan", Plan)
    async with opened_blobs(task.environment) as blobs:
        chunks = [
            await _load(blobs, task.param("work", str), number, chunk)
            for number, chunk in enumerate(spec.params["chunks"])
        ]
    async with opened_database(task.environment) as database:
        stored = await FrameStore(database).replace_frames(
            tenant_id=spec.tenant_id, job_id=spec.job_id, attempt=spec.attempt, rows=_rows(plan, chunks)
        )
    return {"frames": stored}


async def _load(blobs: Blobs, work: str, number: int, chunk: dict[str, Any]) -> tuple[FrameTable, list[Anchor]]:
    if chunk["frames_key"] is None:
        raise OutputInvalid(f"chunk {number} has no frame table: its analysis failed")
    frames = table.load(await blobs.get_bytes(chunk["frames_key"]))
    anchors = [anchor async for anchor in all_anchors(blobs, work, number, batches=chunk["anchor_batches"])]
    return frames, anchors


def _rows(plan: Plan, chunks: list[tuple[FrameTable, list[Anchor]]]) -> Iterator[FrameRow]:
    for row in merge(chunks):
        yield FrameRow(
            pts=row.pts,
            frame_no=row.frame_no,
            # On the clock that every published stream starts at zero of.
            ts_ms=round((row.pts - plan.origin_pts) * plan.time_base * 1000),
            scene_no=row.scene_no,
            anchor_pts=row.anchor_pts,
            similarity=row.similarity,
        )
