"""The probe task: fetch the original once into the store, and measure it in the box."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

from vidcompute import wire
from vidcompute.blobs.base import Blobs
from vidcompute.domain.media import Probe
from vidcompute.errors import TaskFailed
from vidcompute.media.probe import probe
from vidcompute.media.scan import ProbeLimits
from vidcompute.net.source import SourceOpener
from vidcompute.sandbox.channel import Channel
from vidcompute.sandbox.fork import BoxedChild, fork_boxed
from vidcompute.sandbox.policy import BoxPolicy
from vidcompute.tasks.box import python_policy
from vidcompute.tasks.environment import Task
from vidcompute.tasks.scratch import scratch
from vidcompute.tasks.services import opened_blobs, source_opener
from vidcompute.tasks.source import StoredSource, adopt_upload, cached, store_source

#: Packet-exact probing of hours of video takes seconds; a file that needs minutes is built to waste them.
_PROBE_CPU_S = 300
_PROBE_WALL_S = 600.0


def run(task: Task) -> dict[str, Any]:
    """Result: `{"source": StoredSource, "probe": Probe}`. The prober is forked before anything else exists."""
    limits = task.environment.limits
    probe_limits = ProbeLimits(
        max_pixels=limits.max_pixels,
        max_duration_s=limits.max_duration_s,
        max_streams=limits.max_streams,
        max_size_bytes=limits.max_bytes,
    )

    prober = fork_prober(probe_limits, python_policy(task, cpu_s=_PROBE_CPU_S))
    return asyncio.run(_run(task, prober))


def fork_prober(limits: ProbeLimits, policy: BoxPolicy) -> BoxedChild:
    """A boxed child that waits for an open file and measures it; see `measure`. Needs a process without threads."""

    def entry(channel: Channel) -> None:
        _, (descriptor,) = channel.receive()
        channel.send({"probe": wire.plain(probe(descriptor, limits))})

    return fork_boxed(entry, policy, what="the prober")


async def _run(task: Task, prober: BoxedChild) -> dict[str, Any]:
    environment = task.environment
    async with prober, opened_blobs(environment) as blobs, source_opener(environment) as opener:
        with scratch(Path(environment.scratch_dir), task.spec.id) as folder:
            source = await _source(task, blobs, opener, folder)
        task.progress("probing", done=0, total=1)
        async with cached(blobs, source, Path(environment.cache_dir)) as descriptor:
            measured = await measure(prober, descriptor)
    video = measured.video
    task.log(
        f"source: {measured.container}, {video.codec} {video.width_px}x{video.height_px}, "
        f"{video.frames} frames, {float(measured.duration):.3f} s",
        warnings=list(measured.warnings),
    )
    return {"source": wire.plain(source), "probe": wire.plain(measured)}


async def _source(task: Task, blobs: Blobs, opener: SourceOpener, folder: Path) -> StoredSource:
    tenant_id, url, known = task.spec.tenant_id, task.param("input", str), task.spec.params.get("source_key")
    if known and (info := await blobs.head(known)) is not None:
        # An earlier attempt fetched it: an input is never fetched twice.
        return StoredSource(known, known.rsplit("/", 1)[-1], info.size_bytes)
    task.progress("downloading", done=0, total=1)
    if url.startswith("upload:"):
        upload = url.removeprefix("upload:")
        return await adopt_upload(blobs, f"{tenant_id}/uploads/{upload}", tenant_id=tenant_id)

    def report(size: int, total: int | None) -> None:
        task.progress("downloading", done=size, total=total or 0)

    return await store_source(
        blobs,
        opener,
        url,
        tenant_id=tenant_id,
        folder=folder,
        max_bytes=task.environment.limits.max_bytes,
        report=report,
    )


async def measure(prober: BoxedChild, descriptor: int) -> Probe:
    """What the prober says of the open file. Raises what the probe raises, or TaskFailed."""
    # A descriptor of its own: the offset of a shared one would move under the other reader.
    own = os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        async with asyncio.timeout(_PROBE_WALL_S):
            await prober.send({}, fds=[own])
            reply = await prober.receive()
    except TimeoutError as error:
        raise TaskFailed(f"probing did not finish within {_PROBE_WALL_S:g} s") from error
    finally:
        os.close(own)
    if reply is None:
        raise TaskFailed("the prober ended without a result")
    return wire.parse(Probe, reply["probe"])
