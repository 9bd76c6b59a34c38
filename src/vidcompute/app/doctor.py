"""`vidctl doctor`: what this machine has and lacks, and the cure for each thing that is wrong."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import platform
import shutil
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

from vidcompute.app.folders import MIN_FREE_BYTES, prepare
from vidcompute.app.parts import ffmpeg_path, open_store
from vidcompute.app.web import web_dir
from vidcompute.config import Config, Toggle
from vidcompute.errors import VidcomputeError
from vidcompute.sandbox.layers import detect
from vidcompute.sandbox.process import run

#: A day of modest use; less is worth a word before it is a failure.
_COMFORTABLE_BYTES = 5 << 30
_ENCODERS = ("libx264", "libx265", "libsvtav1", "libvpx-vp9", "aac")


@dataclass(frozen=True, slots=True)
class Check:
    """One finding. `fix` says what to do where `ok` is false."""

    name: str
    ok: bool
    detail: str
    fix: str = ""


def doctor_checks(config: Config) -> list[Check]:
    """Every check, each on its own: one that cannot run is a finding, not an end."""
    return [_guarded(name, check, config) for name, check in _CHECKS.items()]


def _guarded(name: str, check: Callable[[Config], Check], config: Config) -> Check:
    try:
        return check(config)
    except VidcomputeError as error:
        return Check(name, ok=False, detail=error.detail, fix=error.hint)
    except OSError as error:
        return Check(name, ok=False, detail=str(error), fix="See the message of the operating system.")


def _python(_: Config) -> Check:
    return Check("python", ok=True, detail=f"{platform.python_version()} on {platform.machine()}")


def _ffmpeg(config: Config) -> Check:
    path = ffmpeg_path(config)
    done = asyncio.run(run([path, "-hide_banner", "-encoders"], timeout_s=30))
    missing = [name for name in _ENCODERS if name.encode() not in done.stdout]
    return Check(
        "ffmpeg",
        ok=not missing,
        detail=f"{path.name}, lacks {', '.join(missing)}" if missing else path.name,
        fix="Unset FFMPEG to use the program that came with the package, or name a fuller build.",
    )


def _sandbox(config: Config) -> Check:
    report = asyncio.run(detect(ffmpeg_path(config)))
    lacks = ", ".join(f"{name} ({why})" for name, why in report.missing.items())
    return Check(
        "sandbox",
        ok=report.complete or config.sandbox is Toggle.OFF,
        detail=f"active: {', '.join(report.active)}" + (f"; missing: {lacks}" if lacks else ""),
        fix="Use a kernel with Landlock (5.13 or newer) and a container profile that lets seccomp filters be set.",
    )


def _disk(config: Config) -> Check:
    prepare(config.data_dir)
    free = shutil.disk_usage(config.data_dir).free
    return Check(
        "disk",
        ok=free >= max(MIN_FREE_BYTES, _COMFORTABLE_BYTES),
        detail=f"{free / (1 << 30):.1f} GiB free in {config.data_dir}",
        fix="Free some space, or name another folder with --data-dir.",
    )


def _port(config: Config) -> Check:
    with contextlib.closing(socket.socket()) as probe:
        answered = config.port != 0 and probe.connect_ex((config.host, config.port)) == 0
    return Check(
        "port",
        ok=True,
        detail=f"{config.host}:{config.port} " + ("is in use (by a running service?)" if answered else "is free"),
    )


def _database(config: Config) -> Check:
    async def ask() -> str:
        async with AsyncExitStack() as stack:
            store = await open_store(config, prepare(config.data_dir), stack)
            await store.database.ping()
            return "embedded, answers" if config.database_url is None else "answers"

    return Check("database", ok=True, detail=asyncio.run(ask()))


def _ocr(config: Config) -> Check:
    there = importlib.util.find_spec("rapidocr") is not None and importlib.util.find_spec("onnxruntime") is not None
    return Check(
        "ocr",
        ok=there or not config.ocr,
        detail="on-screen text can be read" if there else "the text reader is not installed",
        fix="pip install 'vidcompute[ocr]', or set OCR=false.",
    )


def _dashboard(_: Config) -> Check:
    found = web_dir()
    return Check(
        "dashboard",
        ok=found is not None,
        detail="built" if found else "not built in this checkout",
        fix="make web",
    )


def _cores(config: Config) -> Check:
    cores = config.cpu or len(os.sched_getaffinity(0))
    return Check("cpu", ok=True, detail=f"{cores:g} cores, {_memory_gib():.1f} GiB memory")


def _memory_gib() -> float:
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return float(pages) / (1 << 30)


_CHECKS: dict[str, Callable[[Config], Check]] = {
    "python": _python,
    "cpu": _cores,
    "disk": _disk,
    "ffmpeg": _ffmpeg,
    "sandbox": _sandbox,
    "database": _database,
    "ocr": _ocr,
    "dashboard": _dashboard,
    "port": _port,
}
