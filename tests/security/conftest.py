"""Things to attack, and a box to attack them from."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import imageio_ffmpeg
import pytest

from vidcompute.sandbox.layers import boxed_argv
from vidcompute.sandbox.policy import BoxPolicy, prepare_scratch, unprivileged_ids
from vidcompute.sandbox.process import Completed, run

FFMPEG = Path(imageio_ffmpeg.get_ffmpeg_exe())


@dataclass(frozen=True)
class Box:
    """Runs programs boxed in a scratch folder that lies below one closed to everybody else."""

    scratch: Path
    policy: BoxPolicy

    async def run(self, argv: Sequence[str | Path], *, pass_fds: Sequence[int] = (), **changes: object) -> Completed:
        policy = replace(self.policy, **changes)  # type: ignore[arg-type]
        return await run(boxed_argv(argv, policy), timeout_s=60, cwd=self.scratch, pass_fds=pass_fds)

    async def ffmpeg(self, source: Path, *rest: str, protocols: str = "fd,pipe", **changes: object) -> Completed:
        """ffmpeg on `source`, given as a descriptor, as every task gives it."""
        descriptor = os.open(source, os.O_RDONLY)
        try:
            # fmt: off
            argv = [
                FFMPEG, "-nostdin", "-hide_banner", "-v", "error", "-protocol_whitelist", protocols,
                "-fd", str(descriptor), "-i", "fd:", *rest,
            ]
            # fmt: on
            return await self.run(argv, pass_fds=[descriptor], **changes)
        finally:
            os.close(descriptor)


@pytest.fixture
def box(tmp_path: Path) -> Box:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    scratch = closed / "scratch"
    policy = BoxPolicy(cpu_s=30, user=unprivileged_ids(), read_write=(scratch,))
    prepare_scratch(scratch, policy)
    return Box(scratch, policy)


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """A file that every user of the machine may read, outside of the box."""
    path = tmp_path / "canary.txt"
    path.write_text("CANARY")
    path.chmod(0o644)
    # pytest closes its folders to others; here the box itself has to hold, not their modes.
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.getuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o055)
    return path


@pytest.fixture
def closed_canary(canary: Path) -> Path:
    """A file that only its owner may read."""
    canary.chmod(0o600)
    return canary


@dataclass(frozen=True)
class Listener:
    """A loopback port that remembers whether anybody called."""

    port: int
    called: Callable[[], bool]


@pytest.fixture
def listener() -> Iterator[Listener]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)

        def called() -> bool:
            try:
                server.accept()[0].close()
            except BlockingIOError:
                return False
            return True

        yield Listener(server.getsockname()[1], called)


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One second of moving picture and sound; real footage if MEDIA names a folder of it."""
    media = os.environ.get("MEDIA")
    if media:
        return Path(media) / "nat_flower_960x540.mp4"
    return _generated(tmp_path_factory.mktemp("clip") / "clip.mp4")


def _generated(path: Path) -> Path:
    # fmt: off
    argv = [
        FFMPEG, "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=1", "-f", "lavfi", "-i", "sine=d=1",
        "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac", path,
    ]
    # fmt: on
    subprocess.run(argv, check=True)
    return path
