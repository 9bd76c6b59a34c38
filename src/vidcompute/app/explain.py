"""`vidctl explain`: what would be run for a file, without a service and without running it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from vidcompute.app.parts import ffmpeg_path
from vidcompute.config import Config, load
from vidcompute.domain.job import JobSpec
from vidcompute.domain.media import Probe
from vidcompute.errors import SourceMissing
from vidcompute.media import explain as words
from vidcompute.media.plan import make_plan
from vidcompute.media.scan import ProbeLimits
from vidcompute.sandbox.policy import BoxPolicy, SandboxMode, unprivileged_ids
from vidcompute.tasks.probe import fork_prober, measure


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

    policy = BoxPolicy(mode=SandboxMode(config.sandbox.value), user=unprivileged_ids())
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise SourceMissing(f"{path}: {error.strerror}") from error

    prober = fork_prober(limits, policy)

    async def ask() -> Probe:
        async with prober:
            return await measure(prober, descriptor)

    try:
        return asyncio.run(ask())
    finally:
        os.close(descriptor)
