"""The describe task: one batch of anchors, read for text where it looks like text, described, stored as it is done."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import Any

from vidcompute import wire
from vidcompute.analysis.ocr import Reader, wants_text
from vidcompute.domain.frames import Anchor, OnScreenText
from vidcompute.domain.job import Ocr
from vidcompute.domain.plan import Plan
from vidcompute.errors import OcrUnavailable, VidcomputeError
from vidcompute.llm import local
from vidcompute.llm.local import LocalInput
from vidcompute.sandbox.channel import Channel
from vidcompute.sandbox.fork import BoxedChild, fork_boxed
from vidcompute.store.frames import FrameStore
from vidcompute.tasks.anchors import load_batch, picture_key
from vidcompute.tasks.box import python_policy
from vidcompute.tasks.environment import Task
from vidcompute.tasks.services import opened_blobs, opened_database

#: CPU seconds for the text of one batch: a page of small print takes three seconds a picture.
_OCR_CPU_S = 600


@dataclass(frozen=True, slots=True)
class _Batch:
    """What there is to do: anchors without a description yet, and the pictures of those that look like text."""

    anchors: tuple[Anchor, ...]
    pictures: dict[int, bytes]


def run(task: Task) -> dict[str, Any]:
    """Result: `{"described": n, "ocr_cpu_s": …, "seconds": …, "warnings": […]}`."""
    started_s = time.monotonic()
    plan = task.param("plan", Plan)
    assert plan.analysis is not None
    mode = plan.analysis.ocr if task.environment.ocr else Ocr.OFF
    batch = asyncio.run(_load(task, mode))
    warnings: list[dict[str, Any]] = []
    # Between two event loops, because a fork wants a process without threads. A batch without text loads no model.
    child = _fork_reader(task, warnings) if batch.pictures else None
    inputs = asyncio.run(_read_and_store(task, plan, batch, child, warnings))
    return {
        "described": len(inputs),
        "ocr_cpu_s": sum(item.ocr_cpu_s for item in inputs),
        "seconds": time.monotonic() - started_s,
        "warnings": warnings,
    }


async def _load(task: Task, mode: Ocr) -> _Batch:
    batch, work = task.spec.params["batch"], task.param("work", str)
    async with opened_database(task.environment) as database:
        done = await FrameStore(database).described(
            task.spec.job_id, kind=local.KIND, model=local.MODEL, prompt_version=local.PROMPT_VERSION
        )
    async with opened_blobs(task.environment) as blobs:
        anchors = await load_batch(blobs, work, batch["chunk"], number=batch["number"])
        todo = tuple(anchor for anchor in anchors if anchor.pts not in done)
        pictures = {
            anchor.pts: await blobs.get_bytes(picture_key(work, batch["chunk"], anchor))
            for anchor in todo
            if wants_text(anchor.facts, mode)
        }
    return _Batch(todo, pictures)


def _fork_reader(task: Task, warnings: list[dict[str, Any]]) -> BoxedChild | None:
    """A boxed child with the models in memory; None where they are not installed."""
    try:
        reader = Reader(threads=1)
        reader.warm()
    except OcrUnavailable as error:
        warnings.append({"code": error.code, "detail": error.detail})
        return None

    def entry(channel: Channel) -> None:
        while True:
            message, _ = channel.receive()
            reading = reader.read(message["jpeg"])
            channel.send({"lines": [wire.plain(line) for line in reading.lines], "cpu_s": reading.cpu_s})

    return fork_boxed(entry, python_policy(task, cpu_s=_OCR_CPU_S), what="the text reader")


async def _read_and_store(
    task: Task, plan: Plan, batch: _Batch, child: BoxedChild | None, warnings: list[dict[str, Any]]
) -> list[LocalInput]:
    inputs: list[LocalInput] = []
    async with contextlib.AsyncExitStack() as stack:
        if child is not None:
            await stack.enter_async_context(child)
        for anchor in batch.anchors:
            picture = batch.pictures.get(anchor.pts)
            inputs.append(await _input(plan, anchor, picture, child=child, warnings=warnings))
    async with opened_database(task.environment) as database:
        await FrameStore(database).upsert_descriptions(
            tenant_id=task.spec.tenant_id,
            job_id=task.spec.job_id,
            attempt=task.spec.attempt,
            items=local.describe(inputs),
        )
    return inputs


async def _input(
    plan: Plan, anchor: Anchor, picture: bytes | None, *, child: BoxedChild | None, warnings: list[dict[str, Any]]
) -> LocalInput:
    """The anchor with the text on it. A picture that cannot be read is described without."""
    ts_ms = round((anchor.pts - plan.origin_pts) * plan.time_base * 1000)
    if child is None or picture is None:
        return LocalInput(anchor, ts_ms)
    try:
        await child.send({"jpeg": picture})
        reply = await child.receive()
    except VidcomputeError as error:
        warnings.append({"code": "ocr_failed", "detail": error.detail})
        return LocalInput(anchor, ts_ms)
    if reply is None:
        return LocalInput(anchor, ts_ms)
    return LocalInput(anchor, ts_ms, tuple(wire.parse(OnScreenText, line) for line in reply["lines"]), reply["cpu_s"])
