"""Running ffmpeg in the box: how it ends when it does not end well."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import pytest

from tests.clips import Kitchen
from tests.integration.media.encoding import SPEC, boxed, measured
from vidcompute.errors import EncoderFailed, LimitExceeded, TaskFailed, UnsupportedMedia
from vidcompute.media.command import chunk_command
from vidcompute.media.encode import EncodeResult, run_ffmpeg
from vidcompute.media.flags import Command, flag
from vidcompute.media.plan import make_plan
from vidcompute.sandbox.policy import BoxPolicy


async def run(
    clip: Path,
    folder: Path,
    ffmpeg: Path,
    *,
    of: Path | None = None,
    timeout_s: float = 60,
    edit=lambda command: command,
    **limits,
) -> EncodeResult:
    """The plan of `of` (or of `clip`) run on the bytes of `clip`."""
    plan = make_plan(measured(of or clip), replace(SPEC, enable_llm=False))
    descriptor = os.open(clip, os.O_RDONLY)
    # As a hash over the file leaves it.
    os.lseek(descriptor, 0, os.SEEK_END)
    try:
        command: Command = edit(
            chunk_command(plan, plan.chunks[0], ffmpeg=ffmpeg, input_fd=descriptor, analysis_fd=None, threads=1)
        )
        policy: BoxPolicy = replace(boxed(folder), **limits)
        return await run_ffmpeg(command, policy=policy, cwd=folder, on_progress=lambda _: None, timeout_s=timeout_s)
    finally:
        os.close(descriptor)


def with_flag(*words: str):
    return lambda command: replace(command, flags=(*command.flags[:-1], flag(*words), command.flags[-1]))


async def test_the_source_is_read_from_its_beginning(kitchen: Kitchen, ffmpeg: Path, tmp_path: Path):
    result = await run(kitchen.clip("silent"), tmp_path / "out", ffmpeg)

    assert result.frames == 24
    assert result.max_rss_bytes > 0


async def test_a_failure_carries_what_an_operator_needs(kitchen: Kitchen, ffmpeg: Path, tmp_path: Path):
    with pytest.raises(EncoderFailed) as caught:
        await run(kitchen.clip("silent"), tmp_path / "out", ffmpeg, edit=with_flag("-preset", "no-such-preset"))

    evidence = caught.value.evidence
    assert "no-such-preset" in evidence["argv"]
    assert evidence["argv"].startswith(str(ffmpeg))
    assert evidence["exit_code"] > 0
    assert evidence["stderr_tail"]
    assert "ffmpeg ended with exit code" in caught.value.detail


async def test_bytes_that_hold_no_picture_are_the_callers_fault(kitchen: Kitchen, ffmpeg: Path, tmp_path: Path):
    noise = tmp_path / "noise.mp4"
    noise.write_bytes(b"\x00" * 4096)

    with pytest.raises(UnsupportedMedia):
        await run(noise, tmp_path / "out", ffmpeg, of=kitchen.clip("silent"))


async def test_an_encode_that_hangs_is_ended(kitchen: Kitchen, ffmpeg: Path, tmp_path: Path):
    stalled = lambda command: replace(command, flags=(flag("-re"), flag("-readrate", "0.001"), *command.flags))  # noqa: E731

    async with asyncio.timeout(30):
        with pytest.raises(TaskFailed, match=r"did not finish within 0\.5 s"):
            await run(kitchen.clip("plain"), tmp_path / "out", ffmpeg, timeout_s=0.5, edit=stalled)


async def test_an_output_over_its_limit_is_the_limits_fault(kitchen: Kitchen, ffmpeg: Path, tmp_path: Path):
    with pytest.raises(LimitExceeded, match="more than 2000 bytes"):
        await run(kitchen.clip("plain"), tmp_path / "out", ffmpeg, file_size_bytes=2000)
