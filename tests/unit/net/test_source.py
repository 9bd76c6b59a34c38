"""Inputs by file URL: below the named folders, regular files, nothing else."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from vidcompute.errors import SourceForbidden, SourceMissing
from vidcompute.net.fetch import Fetcher, FetchSettings
from vidcompute.net.source import SourceOpener


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "videos"
    (root / "sub").mkdir(parents=True)
    (root / "clip.mp4").write_bytes(b"clip")
    (root / "sub" / "відео #1?.mp4").write_bytes(b"deep")
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "videos-too").mkdir()
    (tmp_path / "videos-too" / "clip.mp4").write_bytes(b"neighbour")
    return root


@pytest.fixture
def opener(root: Path) -> SourceOpener:
    return SourceOpener(Fetcher(FetchSettings(max_bytes=1)), roots=[root])


async def read(opener: SourceOpener, url: str) -> tuple[bytes, int | None]:
    async with opener.open(url) as opened:
        return b"".join([piece async for piece in opened.chunks()]), opened.size_bytes


async def test_a_file_below_the_root_is_read(opener: SourceOpener, root: Path) -> None:
    assert await read(opener, f"file://{root}/clip.mp4") == (b"clip", 4)
    assert await read(opener, f"file://localhost{root}/sub/../clip.mp4") == (b"clip", 4)
    assert await read(opener, (root / "sub" / "відео #1?.mp4").as_uri()) == (b"deep", 4)


async def test_a_link_within_the_roots_is_followed(opener: SourceOpener, root: Path) -> None:
    (root / "link.mp4").symlink_to("sub/відео #1?.mp4")

    assert await read(opener, f"file://{root}/link.mp4") == (b"deep", 4)


@pytest.mark.parametrize(
    "path",
    ["/../secret", "/sub/../../secret", "/%2e%2e/secret", "/leak", "/leakdir/secret", "-too/clip.mp4", "/../none",
     "/fifo", "/sub", "", "/loop"],
)  # fmt: skip
async def test_everything_else_is_refused(opener: SourceOpener, root: Path, path: str) -> None:
    (root / "leak").symlink_to(root.parent / "secret")
    (root / "leakdir").symlink_to(root.parent)
    (root / "loop").symlink_to("loop")
    os.mkfifo(root / "fifo")

    with pytest.raises(SourceForbidden):
        await read(opener, f"file://{root}{path}")


@pytest.mark.parametrize("path", ["/none.mp4", "/none/clip.mp4", "/clip.mp4/below"])
async def test_what_is_not_below_the_root_is_missing(opener: SourceOpener, root: Path, path: str) -> None:
    with pytest.raises(SourceMissing):
        await read(opener, f"file://{root}{path}")


async def test_without_roots_no_file_may_be_read(root: Path) -> None:
    with pytest.raises(SourceForbidden, match="FILE_ROOTS"):
        await read(SourceOpener(Fetcher(FetchSettings(max_bytes=1))), f"file://{root}/clip.mp4")


@pytest.mark.parametrize(
    "url",
    ["file://server/share/clip.mp4", "file:clip.mp4", "file://", "file:///a%00b", "file:///a?x", "file:///a#x",
     "file://[/a", "gs://bucket/clip.mp4", "ftp://host/clip.mp4", "/etc/passwd", "", "javascript:1", "concat:a|b"],
)  # fmt: skip
async def test_other_urls_are_refused(opener: SourceOpener, url: str) -> None:
    with pytest.raises(SourceForbidden):
        await read(opener, url)


async def test_a_canceled_read_leaves_no_descriptor_behind(opener: SourceOpener, root: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    async with opener.open(f"file://{root}/clip.mp4") as opened, asyncio.TaskGroup() as group:
        reading = group.create_task(anext(aiter(opened.chunks())))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        reading.cancel()
    await asyncio.get_running_loop().shutdown_default_executor()

    assert len(os.listdir("/proc/self/fd")) <= before  # noqa: PTH208
