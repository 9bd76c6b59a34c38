"""`vidctl explain`: what would be run for a file, without a service and without running it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from vidcompute import wire
from vidcompute.app.parts import ffmpeg_path
from vidcompute.config import Config, load
from vidcompute.domain.job import JobSpec
from vidcompute.domain.media import Probe
from vidcompute.errors import SourceMissing, TaskFailed
from vidcompute.media import explain as words
from vidcompute.media.plan import make_plan
from vidcompute.media.probe import probe
from vidcompute.media.scan import ProbeLimits
from vidcompute.sandbox.channel import Channel
from vidcompute.sandbox.fork import fork_boxed
from vidcompute.sandbox.policy import BoxPolicy, SandboxMode, unprivileged_ids


def explain(path: Path, spec: JobSpec, config: Config | None = None) -> str:
    """The exact commands for `path` as a shell script, a reason beside each flag. The file is probed in the box."""
    config = config or load()
    measured = probe_file(path, config)
    return words.explain(make_plan(measured, spec), measured, source=path, ffmpeg=ffmpeg_path(config))


def probe_file(path: Path, config: Config) -> Probe:
    """Measure a local file in a boxed child. Raises SourceMissing or what the probe raises."""
    limits = ProbeLimits(
        max_pixels=config.max_pixels,
        max_duration_s=config.max_duration_s,
        max_streams=config.max_streams,
        max_size_bytes=config.max_upload_bytes,
    )

    def entry(channel: Channel) -> None:
        _, (descriptor,) = channel.receive()
        channel.send({"probe": wire.plain(probe(descriptor, limits))})

    policy = BoxPolicy(mode=SandboxMode(config.sandbox.value), user=unprivileged_ids())
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise SourceMissing(f"{path}: {error.strerror}") from error

    child = fork_boxed(entry, policy, what="the prober")

    async def ask() -> Probe:
        async with child:
            await child.send({}, fds=[descriptor])
            reply = await child.receive()
        if reply is None:
            raise TaskFailed("the prober ended without a result")
        return wire.parse(Probe, reply["probe"])

    try:
        return asyncio.run(ask())
    finally:
        os.close(descriptor)
