"""Multipart bodies as streams."""

import itertools
import tracemalloc

import pytest

from vidcompute.api.multipart import Multipart
from vidcompute.api.problems import MalformedBody
from vidcompute.errors import LimitExceeded

TYPE = "multipart/form-data; boundary=cut"
BODY = (
    b'--cut\r\nContent-Disposition: form-data; name="spec"\r\nContent-Type: application/json\r\n\r\n{"a":1}\r\n'
    b'--cut\r\nContent-Disposition: form-data; name="file"; filename="b\xc3\xa4r.mp4"\r\n\r\n\r\n--cu\r\nmovie\r\n--cut--\r\n'
)


async def pieces(body: bytes, size: int):
    for start in range(0, len(body), size):
        yield body[start : start + size]


async def read_all(body: bytes, size: int) -> list:
    return [
        (part.name, part.filename, b"".join([chunk async for chunk in part.chunks()]))
        async for part in Multipart(TYPE, pieces(body, size)).parts()
    ]


@pytest.mark.parametrize("size", [1, 2, 7, 64, 10_000])
async def test_parts_are_the_same_however_the_body_is_cut(size):
    parts = await read_all(BODY, size)

    assert parts == [("spec", None, b'{"a":1}'), ("file", "bär.mp4", b"\r\n--cu\r\nmovie")]


@pytest.mark.parametrize("end", range(0, len(BODY) - len("--cut--\r\n"), 9))
async def test_a_body_that_breaks_off_is_malformed(end):
    with pytest.raises(MalformedBody):
        await read_all(BODY[:end], 16)


@pytest.mark.parametrize("kind", ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; b"])
def test_a_content_type_without_boundary_is_malformed(kind):
    with pytest.raises(MalformedBody):
        Multipart(kind, pieces(b"", 1))


@pytest.mark.parametrize("body", [b"garbage", b"--cut\r\nno colon here\r\n\r\n", b"--cut\r\n: x\r\n\r\n"])
async def test_garbage_is_malformed(body):
    with pytest.raises(MalformedBody):
        await read_all(body + b"\r\n--cut--\r\n", 10)


async def test_a_small_part_is_bounded():
    async for part in Multipart(TYPE, pieces(BODY, 64)).parts():
        with pytest.raises(LimitExceeded):
            await part.read(max_bytes=3)
        break


async def test_many_parts_are_refused():
    one = b'--cut\r\nContent-Disposition: form-data; name="x"\r\n\r\n1\r\n'

    with pytest.raises(MalformedBody, match="parts"):
        await read_all(one * 20 + b"--cut--\r\n", 64)


async def test_memory_does_not_grow_with_the_file():
    head = b'--cut\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'
    chunk = b"x" * 65536

    async def large():
        yield head
        for piece in itertools.repeat(chunk, 500):
            yield piece
        yield b"\r\n--cut--\r\n"

    tracemalloc.start()
    total = 0
    async for part in Multipart(TYPE, large()).parts():
        async for piece in part.chunks():
            total += len(piece)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert total == 500 * 65536
    assert peak < 2_000_000
