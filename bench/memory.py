"""Memory beside ffmpeg: the largest Python process of a job, for clips of growing length. It should not grow."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import imageio_ffmpeg

from bench.campaign import Result, one, service

_SAMPLE_S = 0.05


def descendants(root: int) -> Iterator[int]:
    """Process ids below `root`."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry.name))
    todo = [root]
    while todo:
        for pid in children.get(todo.pop(), []):
            yield pid
            todo.append(pid)


def peak_bytes(pid: int) -> tuple[str, int]:
    """What a process is (`ffmpeg`, `python` or other) and the most memory it ever held; ("", 0) if it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        program = Path(f"/proc/{pid}/exe").readlink().name
    except OSError:
        return "", 0
    peak = next((line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")), "0")
    kind = "ffmpeg" if program.startswith("ffmpeg") else "python" if program.startswith("python") else "other"
    return kind, int(peak) * 1024


async def _watch(peaks: dict[str, int]) -> None:
    while True:
        for pid in descendants(os.getpid()):
            kind, peak = peak_bytes(pid)
            peaks[kind] = max(peaks.get(kind, 0), peak)
        await asyncio.sleep(_SAMPLE_S)


async def _peaks(clip: Path, folder: Path) -> tuple[Result, dict[str, int]]:
    result, peaks = Result(clip.name, ""), dict[str, int]()
    async with service(folder, None) as client, asyncio.TaskGroup() as group:
        watching = group.create_task(_watch(peaks))
        await one(client, clip, result, spec={"preset": "fast", "frames": {"ocr": "off"}}, limit_s=3600)
        watching.cancel()
    if result.outcome != "succeeded":
        raise SystemExit(f"{clip.name}: {result.outcome} {result.detail}")
    return result, peaks


def _beginning(clip: Path, seconds: int, folder: Path) -> Path:
    path = folder / f"{clip.stem}_{seconds}s.mp4"
    copy = ["-v", "error", "-nostdin", "-y", "-i", str(clip), "-t", str(seconds), "-c", "copy", str(path)]
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), *copy], check=True)
    return path


def table(clip: Path, *, lengths_s: Sequence[int], long: Path | None) -> str:
    """Markdown: the beginning of `clip` in several lengths, the whole of it, and another, longer clip."""
    with TemporaryDirectory(prefix="vidcompute-memory-") as name:
        folder = Path(name)
        clips = [*(_beginning(clip, seconds, folder) for seconds in lengths_s), clip, *([long] if long else [])]
        rows = [
            "### Memory by length of the clip",
            "",
            "The most that any process of a kind ever held (shared pages counted in each), OCR off.",
            "",
            "| clip | frames | largest Python process | ffmpeg |",
            "|---|---|---|---|",
        ]
        for number, item in enumerate(clips):
            result, peaks = asyncio.run(_peaks(item, folder / f"data{number}"))
            mib = {kind: peak // 2**20 for kind, peak in peaks.items()}
            rows.append(f"| {item.name} | {result.frames} | {mib['python']} MiB | {mib['ffmpeg']} MiB |")
            print(f"  {rows[-1]}", flush=True)
    return "\n".join(rows)
