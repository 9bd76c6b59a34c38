"""The whole job against what a user would write by hand: one ffmpeg command with the same outputs, and one per output.

Fair means: the same program, encoder settings, rungs and segment grid, and the same analysis pictures. By hand nothing
is packaged, verified, described or stored; that is what vidcompute adds, and what the ratio shows. OCR is off.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import imageio_ffmpeg

from bench.campaign import service, tree_cpu_s
from bench.harness import Comparison, Sample, interleave


class Rungs:
    """What was planned for a clip, read from the plan of a job, so that the rivals encode the very same rungs."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.video = plan["renditions"]
        self.gop = plan["gop_frames"]
        self.rate = plan["picture"]["frame_rate"]
        self.sound = bool(plan["audio"])
        self.look = plan["analysis"]

    def encoder(self, rung: dict[str, Any]) -> list[str]:
        """libx264 with the plan's numbers."""
        preset = {"fast": "veryfast", "balanced": "faster", "quality": "slow"}[rung["preset"]]
        return [
            *("-c:v", "libx264", "-preset", preset, "-crf", str(rung["crf"]), "-pix_fmt", "yuv420p"),
            *("-maxrate", str(rung["max_bitrate_bps"]), "-bufsize", str(2 * rung["max_bitrate_bps"])),
            *("-force_key_frames", f"expr:not(mod(n,{self.gop}))", "-g", str(2 * self.gop), "-threads", "4"),
            *("-movflags", "+cmaf+frag_keyframe+empty_moov+delay_moov", "-f", "mp4"),
        ]

    def scale(self, rung: dict[str, Any]) -> str:
        """The size of a rung."""
        return f"scale={rung['width_px']}:{rung['height_px']}:flags=bicubic,setsar=1"


def run(argv: Sequence[str]) -> Sample:
    """One program to its end, measured by the kernel."""
    begin_s = time.monotonic()
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{argv[0]} failed: {os.waitstatus_to_exitcode(status)}")
    return Sample(usage.ru_utime + usage.ru_stime, time.monotonic() - begin_s, usage.ru_maxrss * 1024)


def by_hand(clip: Path, rungs: Rungs, folder: Path) -> Sample:
    """One command: one decode, every output."""
    count = len(rungs.video)
    look = rungs.look
    splits = "".join(f"[s{n}]" for n in range(count + 1))
    graph = f"[0:v:0]split={count + 1}{splits};[s{count}]scale={look['width_px']}:{look['height_px']}:flags=area[look]"
    for number, rung in enumerate(rungs.video):
        graph += f";[s{number}]fps={rungs.rate},{rungs.scale(rung)}[v{number}]"
    argv = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y", "-i", str(clip), "-filter_complex", graph]
    for number, rung in enumerate(rungs.video):
        argv += ["-map", f"[v{number}]", *rungs.encoder(rung), str(folder / f"v{number}.mp4")]
    if rungs.sound:
        argv += ["-map", "0:a:0", "-c:a", "aac", "-b:a", "128k", "-f", "mp4", str(folder / "a.mp4")]
    argv += ["-map", "[look]", "-c:v", "rawvideo", "-fps_mode", "passthrough", "-f", "nut", "/dev/null"]
    return run(argv)


def one_each(clip: Path, rungs: Rungs, folder: Path) -> Sample:
    """A command per output, as scripts do: every one decodes again."""
    start = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y", "-i", str(clip)]
    look = rungs.look
    commands = [
        [*start, "-vf", f"fps={rungs.rate},{rungs.scale(rung)}", "-an", *rungs.encoder(rung), str(folder / "one.mp4")]
        for rung in rungs.video
    ]
    if rungs.sound:
        commands.append([*start, "-vn", "-c:a", "aac", "-b:a", "128k", "-f", "mp4", str(folder / "one.m4a")])
    small = f"scale={look['width_px']}:{look['height_px']}:flags=area"
    commands.append(
        [*start, "-an", "-vf", small, "-c:v", "rawvideo", "-fps_mode", "passthrough", "-f", "nut", "/dev/null"]
    )
    samples = [run(command) for command in commands]
    return Sample(
        sum(sample.cpu_s for sample in samples),
        sum(sample.wall_s for sample in samples),
        max(sample.max_rss_bytes for sample in samples),
    )


class Vidcompute:
    """A running service; each `job` is a fresh one: the outputs of the last are deleted first."""

    def __init__(self, client: httpx.AsyncClient, loop: asyncio.Runner, spec: dict[str, Any]) -> None:
        self._client = client
        self._loop = loop
        self._spec = spec
        self.largest_task_bytes = 0

    def job(self, clip: Path) -> Sample:
        """Submit, wait, delete."""
        return self._loop.run(self._job(clip))

    async def _job(self, clip: Path) -> Sample:
        begin_s, begin_cpu_s = time.monotonic(), tree_cpu_s()
        with clip.open("rb") as file:
            answer = await self._client.post(
                "/api/v1/jobs", data={"spec": json.dumps(self._spec)}, files={"file": (clip.name, file)}
            )
        job = answer.json()
        while job["status"] in {"queued", "running"}:
            await asyncio.sleep(0.25)
            job = (await self._client.get(f"/api/v1/jobs/{job['id']}")).json()
        if job["status"] != "succeeded":
            raise SystemExit(f"the job {job['status']}: {job['error']}")
        sample = Sample(tree_cpu_s() - begin_cpu_s, time.monotonic() - begin_s)
        await self._client.delete(f"/api/v1/jobs/{job['id']}")
        return sample


def compare(clip: Path, *, preset: str, rounds: int) -> Comparison:
    """One clip, three rivals."""
    from bench.plans import plan_of  # noqa: PLC0415 - probes in a boxed child, which must be forked before any thread

    rungs = Rungs(plan_of(clip, preset))
    spec = {"preset": preset, "frames": {"ocr": "off"}, "max_attempts": 1}
    with TemporaryDirectory(prefix="vidcompute-bench-") as name, asyncio.Runner() as loop:
        folder = Path(name)
        stack = AsyncExitStack()
        client = loop.run(stack.enter_async_context(service(folder / "data", None)))
        try:
            ours = Vidcompute(client, loop, spec)
            heights = ", ".join(str(rung["height_px"]) for rung in rungs.video)
            comparison = Comparison(
                f"Whole job, {clip.name}, preset {preset}",
                f"Renditions {heights}; OCR off; {rounds} rounds, interleaved.",
            )
            return interleave(
                comparison,
                {
                    "one command by hand": lambda: by_hand(clip, rungs, folder),
                    "vidcompute": lambda: ours.job(clip),
                    "one command per output": lambda: one_each(clip, rungs, folder),
                },
                rounds=rounds,
            )
        finally:
            loop.run(stack.aclose())
