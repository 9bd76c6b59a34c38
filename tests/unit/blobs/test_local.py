"""What only the local store promises: files, links and signed paths."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest

from vidcompute.blobs.local import LocalBlobs
from vidcompute.errors import BlobsDown, InvalidInput, NotFound, StorageFull


class HandClock:
    def __init__(self) -> None:
        self.now_s = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "blobs"


@pytest.fixture
def blobs(root: Path, clock: HandClock) -> LocalBlobs:
    return LocalBlobs(root, secret=b"secret", clock=clock)


async def test_fetch_and_move_share_bytes_instead_of_copying(blobs: LocalBlobs, root: Path, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x")
    inode = path.stat().st_ino

    await blobs.put_file("t/a", path, move=True)
    await blobs.fetch("t/a", tmp_path / "out")

    assert (root / "t/a").stat().st_ino == (tmp_path / "out").stat().st_ino == inode


async def test_a_file_handed_out_cannot_be_written_by_accident(blobs: LocalBlobs, tmp_path: Path) -> None:
    await blobs.put_bytes("t/a", b"x")
    await blobs.fetch("t/a", tmp_path / "out")

    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o400


async def test_folders_left_empty_are_gone(blobs: LocalBlobs, root: Path) -> None:
    await blobs.put_bytes("t/a/b/c", b"")
    await blobs.put_bytes("t/d", b"")

    await blobs.delete("t/a/b/c")

    assert sorted(path.name for path in (root / "t").iterdir()) == ["d"]


@pytest.mark.parametrize("planted", ["link", "t/link"])
async def test_a_planted_link_leads_nowhere(blobs: LocalBlobs, root: Path, tmp_path: Path, planted: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    (root / "t").mkdir()
    (root / planted).symlink_to(outside)
    (root / "t/file").symlink_to(outside / "secret")

    for key in (f"{planted}/secret", "t/file"):
        with pytest.raises(NotFound):
            await blobs.get_bytes(key)
        with pytest.raises(NotFound):
            await blobs.fetch(key, tmp_path / "out")
    with pytest.raises(InvalidInput):
        await blobs.put_bytes(f"{planted}/new", b"")
    assert [info.key async for info in blobs.list("")] == []
    assert await blobs.delete_prefix("t") == 0
    assert [path.name for path in outside.iterdir()] == ["secret"]


async def test_a_fifo_among_the_objects_is_not_waited_for(blobs: LocalBlobs, root: Path) -> None:
    (root / "t").mkdir()
    os.mkfifo(root / "t/fifo")

    with pytest.raises(NotFound):
        await blobs.get_bytes("t/fifo")


async def test_an_object_cannot_be_a_folder_too(blobs: LocalBlobs) -> None:
    await blobs.put_bytes("t/a", b"")
    await blobs.put_bytes("t/b/c", b"")

    with pytest.raises(InvalidInput, match="collides"):
        await blobs.put_bytes("t/a/below", b"")
    with pytest.raises(InvalidInput, match="collides"):
        await blobs.put_bytes("t/b", b"")


async def test_unfinished_writes_are_out_of_reach_and_swept(blobs: LocalBlobs, root: Path, clock: HandClock) -> None:
    for name, age_s in (("old", 7200), ("young", 60)):
        path = root / ".incoming" / name
        path.write_bytes(b"half")
        os.utime(path, (clock.now_s - age_s, clock.now_s - age_s))

    with pytest.raises(InvalidInput):
        await blobs.get_bytes(".incoming/old")
    removed = await blobs.sweep(older_than_s=3600)

    assert removed == 1
    assert [path.name for path in (root / ".incoming").iterdir()] == ["young"]
    assert [info async for info in blobs.list("")] == []


@pytest.mark.parametrize(
    ("number", "expected"), [(errno.ENOSPC, StorageFull), (errno.EDQUOT, StorageFull), (errno.EIO, BlobsDown)]
)
async def test_a_full_disk_and_a_broken_one_are_told_apart(
    blobs: LocalBlobs, number: int, expected: type[Exception]
) -> None:
    def refuse() -> None:
        raise OSError(number, os.strerror(number))

    with pytest.raises(expected):
        await blobs._blocking("t/a", refuse)


async def test_a_missing_source_file_is_not_taken_for_a_missing_object(blobs: LocalBlobs, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await blobs.put_file("t/a", tmp_path / "none", move=True)


@pytest.mark.parametrize("move", [False, True])
async def test_a_link_does_not_become_an_object(blobs: LocalBlobs, tmp_path: Path, move: bool) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "output.mp4").symlink_to("secret")

    with pytest.raises(InvalidInput, match="symbolic link"):
        await blobs.put_file("t/a", tmp_path / "output.mp4", move=move)

    assert await blobs.head("t/a") is None


def parts(url: str) -> tuple[str, dict[str, str]]:
    split = urlsplit(url)
    return unquote(split.path).removeprefix("/blobs/"), dict(parse_qsl(split.query))


@pytest.mark.parametrize("key", ["t/a.mp4", "t/відео 🎬.mp4", "t/a?b#c&d=e%2F+", "t/line\nbreak"])
def test_a_signed_url_is_honoured(blobs: LocalBlobs, key: str) -> None:
    url = blobs.signed_url(key, expires_s=60, filename="naïve & co.mp4")

    found, query = parts(url)

    assert found == key
    assert query["filename"] == "naïve & co.mp4"
    assert blobs.verify("GET", found, query)


def test_a_signature_covers_method_key_expiry_and_file_name(blobs: LocalBlobs) -> None:
    key, query = parts(blobs.signed_url("t/a", expires_s=60, filename="a.mp4"))

    assert not blobs.verify("PUT", key, query)
    assert not blobs.verify("GET", "t/b", query)
    assert not blobs.verify("GET", key, {**query, "expires": str(int(query["expires"]) + 1)})
    assert not blobs.verify("GET", key, {**query, "filename": "b.exe"})
    assert not blobs.verify("GET", key, {name: value for name, value in query.items() if name != "filename"})


@pytest.mark.parametrize("signature", ["", "x", "é", "\udcff", "A" * 43])
def test_a_wrong_signature_is_refused(blobs: LocalBlobs, signature: str) -> None:
    key, query = parts(blobs.signed_url("t/a", expires_s=60))

    assert not blobs.verify("GET", key, {**query, "signature": signature})
    assert not blobs.verify("GET", key, {})
    assert not blobs.verify("GET", key, {**query, "expires": "soon"})


def test_a_signed_url_ends_at_its_time(blobs: LocalBlobs, clock: HandClock) -> None:
    key, query = parts(blobs.signed_url("t/a", expires_s=60))

    clock.now_s += 59
    assert blobs.verify("GET", key, query)

    clock.now_s += 1
    assert not blobs.verify("GET", key, query)


def test_another_secret_signs_another_url(blobs: LocalBlobs, tmp_path: Path, clock: HandClock) -> None:
    key, query = parts(LocalBlobs(tmp_path / "other", secret=b"other", clock=clock).signed_url("t/a", expires_s=60))

    assert not blobs.verify("GET", key, query)
