"""What every Blobs does, wherever it keeps its objects."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from vidcompute.blobs.base import Blobs
from vidcompute.blobs.local import LocalBlobs
from vidcompute.errors import InvalidInput, LimitExceeded, NotFound

FACTORIES: dict[str, Callable[[Path], Blobs]] = {
    "local": lambda folder: LocalBlobs(folder / "blobs", secret=b"secret"),
}


@pytest.fixture(params=list(FACTORIES))
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    return FACTORIES[request.param](tmp_path)


async def stream(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def keys(blobs: Blobs, prefix: str = "") -> list[str]:
    return [info.key async for info in blobs.list(prefix)]


async def read(blobs: Blobs, key: str, **span: int) -> bytes:
    return b"".join([piece async for piece in blobs.open_stream(key, **span)])


async def test_what_was_written_can_be_read(blobs: Blobs) -> None:
    info = await blobs.put_stream("t/a.bin", stream(b"one", b"", b"two"))

    assert (info.key, info.size_bytes, info.sha256) == ("t/a.bin", 6, hashlib.sha256(b"onetwo").hexdigest())
    assert await blobs.get_bytes("t/a.bin") == b"onetwo"


async def test_more_than_a_buffer_is_written_and_read_whole(blobs: Blobs) -> None:
    data = bytes(range(256)) * 20_000

    await blobs.put_stream("t/a", stream(*[data[at : at + 70_000] for at in range(0, len(data), 70_000)]))

    assert await read(blobs, "t/a") == data


async def test_an_empty_object_is_an_object(blobs: Blobs) -> None:
    await blobs.put_bytes("t/empty", b"")

    assert (await blobs.get_bytes("t/empty"), await read(blobs, "t/empty")) == (b"", b"")


async def test_a_range_is_half_open_and_ends_with_the_object(blobs: Blobs) -> None:
    await blobs.put_bytes("t/a", b"0123456789")

    assert await read(blobs, "t/a", start=2, end=5) == b"234"
    assert await read(blobs, "t/a", start=7) == b"789"
    assert await read(blobs, "t/a", start=8, end=99) == b"89"
    assert await read(blobs, "t/a", start=5, end=5) == b""


async def test_a_write_replaces_and_changes_the_tag(blobs: Blobs) -> None:
    first = await blobs.put_bytes("t/a", b"old")

    second = await blobs.put_bytes("t/a", b"newer")

    assert await blobs.get_bytes("t/a") == b"newer"
    assert first.etag != second.etag


async def test_head_agrees_with_the_write(blobs: Blobs) -> None:
    written = await blobs.put_bytes("t/a", b"abc")

    head = await blobs.head("t/a")

    assert head is not None
    assert (head.key, head.size_bytes, head.etag) == ("t/a", 3, written.etag)


async def test_what_does_not_exist_is_not_found(blobs: Blobs, tmp_path: Path) -> None:
    await blobs.put_bytes("t/folder/a", b"")

    for key in ("t/none", "t/folder", "t/folder/a/below"):
        assert await blobs.head(key) is None
        with pytest.raises(NotFound):
            await blobs.get_bytes(key)
        with pytest.raises(NotFound):
            await read(blobs, key)
        with pytest.raises(NotFound):
            await blobs.fetch(key, tmp_path / "out")
        with pytest.raises(NotFound):
            await blobs.copy(key, "t/copy")


async def test_a_stream_that_breaks_leaves_nothing(blobs: Blobs) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * 2_000_000
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await blobs.put_stream("t/a", broken())

    assert await keys(blobs) == []


async def test_a_canceled_write_leaves_nothing(blobs: Blobs) -> None:
    begun = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield b"x" * 2_000_000
        begun.set()
        await asyncio.Event().wait()

    async with asyncio.TaskGroup() as group:
        writing = group.create_task(blobs.put_stream("t/a", endless()))
        await begun.wait()
        writing.cancel()

    assert await keys(blobs) == []


async def test_a_reader_never_sees_half_an_object(blobs: Blobs) -> None:
    await blobs.put_bytes("t/a", b"old" * 300_000)
    reading = blobs.open_stream("t/a")
    first = await anext(reading)

    await blobs.put_bytes("t/a", b"NEW")
    rest = b"".join([piece async for piece in reading])

    assert first + rest == b"old" * 300_000


async def test_more_than_the_limit_is_refused_and_leaves_nothing(blobs: Blobs) -> None:
    await blobs.put_stream("t/exact", stream(b"12345"), max_bytes=5)
    with pytest.raises(LimitExceeded):
        await blobs.put_stream("t/over", stream(b"123456"), max_bytes=5)
    with pytest.raises(LimitExceeded):
        await blobs.get_bytes("t/exact", max_bytes=4)

    assert await keys(blobs) == ["t/exact"]


@pytest.mark.parametrize("move", [False, True])
async def test_a_file_becomes_an_object(blobs: Blobs, tmp_path: Path, move: bool) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"from a file")

    info = await blobs.put_file("t/a", path, move=move)

    assert (info.size_bytes, await blobs.get_bytes("t/a")) == (11, b"from a file")
    assert path.exists() is not move


async def test_an_object_becomes_a_file(blobs: Blobs, tmp_path: Path) -> None:
    await blobs.put_bytes("t/a", b"bytes")
    target = tmp_path / "new" / "file"

    await blobs.fetch("t/a", target)
    await blobs.fetch("t/a", target)
    await blobs.delete("t/a")

    assert target.read_bytes() == b"bytes"
    assert [path.name for path in target.parent.iterdir()] == ["file"]


async def test_a_copy_lives_by_itself(blobs: Blobs) -> None:
    await blobs.put_bytes("t/a", b"bytes")

    info = await blobs.copy("t/a", "t/deep/er/b")
    await blobs.put_bytes("t/a", b"other")
    await blobs.delete("t/a")

    assert (info.key, await blobs.get_bytes("t/deep/er/b")) == ("t/deep/er/b", b"bytes")


async def test_a_copy_onto_itself_or_onto_another_object_replaces_it(blobs: Blobs) -> None:
    await blobs.put_bytes("t/a", b"a")
    await blobs.put_bytes("t/b", b"b")

    await blobs.copy("t/a", "t/a")
    await blobs.copy("t/a", "t/b")

    assert (await blobs.get_bytes("t/a"), await blobs.get_bytes("t/b")) == (b"a", b"a")


async def test_a_list_is_in_key_order_and_only_below_the_prefix(blobs: Blobs) -> None:
    wanted = ["t/a-b", "t/a.b", "t/a/b", "t/a/c/d", "t/a0", "t/b", "t/ü", "t2/x"]
    for key in reversed(wanted):
        await blobs.put_bytes(key, b"x")

    assert await keys(blobs) == wanted
    assert await keys(blobs, "t") == await keys(blobs, "t/") == wanted[:-1]
    assert await keys(blobs, "t/a") == ["t/a/b", "t/a/c/d"]
    assert await keys(blobs, "nowhere/") == []


async def test_a_list_carries_the_sizes(blobs: Blobs) -> None:
    written = await blobs.put_bytes("t/a", b"12345")

    assert [(info.size_bytes, info.etag) async for info in blobs.list("t/")] == [(5, written.etag)]


async def test_delete_is_done_once_and_forgives_twice(blobs: Blobs) -> None:
    await blobs.put_bytes("t/a/b", b"")

    await blobs.delete("t/a/b")
    await blobs.delete("t/a/b")
    await blobs.delete("t/a")

    assert await blobs.head("t/a/b") is None


async def test_delete_prefix_counts_and_spares_the_neighbours(blobs: Blobs) -> None:
    for key in ("t/job/1/a", "t/job/1/b/c", "t/job/10/a", "t/job/1x"):
        await blobs.put_bytes(key, b"")

    assert await blobs.delete_prefix("t/job/1/") == 2
    assert await blobs.delete_prefix("t/job/1/") == 0
    assert await keys(blobs) == ["t/job/10/a", "t/job/1x"]


async def test_a_name_freed_by_delete_may_become_a_folder(blobs: Blobs) -> None:
    await blobs.put_bytes("t/a", b"")
    await blobs.delete("t/a")

    await blobs.put_bytes("t/a/b", b"")
    await blobs.delete("t/a/b")
    await blobs.put_bytes("t/a", b"again")

    assert await blobs.get_bytes("t/a") == b"again"


async def test_nothing_is_removed_by_an_empty_prefix(blobs: Blobs) -> None:
    await blobs.put_bytes("t/a", b"")

    with pytest.raises(InvalidInput):
        await blobs.delete_prefix("")

    assert await keys(blobs) == ["t/a"]


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/",
        "/etc/passwd",
        "..",
        "../a",
        "t/../../a",
        "t/./a",
        "t//a",
        "t/",
        "t/\0",
        "t/" + "x" * 256,
        "x/" * 600 + "x",
    ],
)
async def test_a_key_that_leads_elsewhere_is_refused(blobs: Blobs, key: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(InvalidInput):
        await blobs.put_bytes(key, b"")
    with pytest.raises(InvalidInput):
        await blobs.get_bytes(key)
    with pytest.raises(InvalidInput):
        await blobs.put_file(key, tmp_path / "file")
    with pytest.raises(InvalidInput):
        await blobs.copy(key, "t/b")
    with pytest.raises(InvalidInput):
        await blobs.delete(key)
    with pytest.raises(InvalidInput):
        blobs.signed_url(key, expires_s=1)


@pytest.mark.parametrize(
    "key", ["t/відео 🎬 naïve — 動画.mp4", "t/a b?c#d%2F&e=f", "t/\n", "t/-rf", "t/.hidden", "t/\\"]
)
async def test_any_other_name_is_fine(blobs: Blobs, key: str) -> None:
    await blobs.put_bytes(key, b"x")

    assert await keys(blobs, "t") == [key]
    assert await blobs.get_bytes(key) == b"x"


async def test_writers_and_removers_do_not_trip_over_each_other(blobs: Blobs) -> None:
    async def churn(name: str) -> None:
        for _ in range(20):
            await blobs.put_bytes(f"t/shared/{name}", b"x")
            await blobs.delete(f"t/shared/{name}")

    async with asyncio.TaskGroup() as group:
        for name in "abcd":
            group.create_task(churn(name))

    assert await keys(blobs) == []
