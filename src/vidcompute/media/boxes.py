"""ISO base media file format boxes (ISO/IEC 14496-12 §4.2), read with bounds checks and written plainly.

The reader trusts no length field: a box must lie inside its parent, a field inside its box, and a box
that is held in memory below a limit. Whatever is wrong raises OutputInvalid with the byte offset, so
that a damaged file is named and never read beyond. Nothing here recurses; callers walk known paths.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from vidcompute.errors import OutputInvalid

#: No `moov` or `moof` that an encoder writes for one GOP or one track comes near this.
HEADER_LIMIT_BYTES = 16 * 1024 * 1024
#: One box per 8 bytes is the worst a hostile file can do; no container of ours has this many children.
CHILDREN_LIMIT = 10_000


class Cursor:
    """Reads big-endian fields one after another; running past the end is OutputInvalid."""

    __slots__ = ("_data", "_position", "_where")

    def __init__(self, data: bytes | memoryview, where: str) -> None:
        """`where` names the box and file for error messages."""
        self._data = memoryview(data)
        self._position = 0
        self._where = where

    @property
    def remaining(self) -> int:
        """Bytes not yet read."""
        return len(self._data) - self._position

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        if count < 0 or count > self.remaining:
            raise OutputInvalid(
                f"{self._where}: {count} bytes wanted at position {self._position}, {self.remaining} are left"
            )
        start = self._position
        self._position += count
        return bytes(self._data[start : self._position])

    def skip(self, count: int) -> None:
        """Passes over `count` bytes."""
        self.take(count)

    def u8(self) -> int:
        """An unsigned 8-bit field."""
        return self.take(1)[0]

    def u16(self) -> int:
        """An unsigned 16-bit field."""
        return int.from_bytes(self.take(2))

    def u24(self) -> int:
        """An unsigned 24-bit field."""
        return int.from_bytes(self.take(3))

    def u32(self) -> int:
        """An unsigned 32-bit field."""
        return int.from_bytes(self.take(4))

    def i32(self) -> int:
        """A signed 32-bit field."""
        return int.from_bytes(self.take(4), signed=True)

    def u64(self) -> int:
        """An unsigned 64-bit field."""
        return int.from_bytes(self.take(8))

    def i64(self) -> int:
        """A signed 64-bit field."""
        return int.from_bytes(self.take(8), signed=True)

    def full(self) -> tuple[int, int]:
        """Version and flags of a full box."""
        return self.u8(), self.u24()


@dataclass(frozen=True, slots=True)
class Box:
    """A box held in memory. `body` is what follows its header; `offset` counts from the start of the walked bytes."""

    kind: str
    offset: int
    size: int
    body: memoryview
    where: str

    def cursor(self) -> Cursor:
        """A reader at the start of the body."""
        return Cursor(self.body, f"{self.where}: {self.kind} box at byte {self.offset}")

    def children(self) -> Iterator[Box]:
        """The boxes inside."""
        return walk(self.body, where=self.where, base=self.offset + self.size - len(self.body))

    def find(self, *path: str) -> Box | None:
        """The first descendant along `path` (each step takes the first child of that kind), or None."""
        found: Box | None = self
        for kind in path:
            found = next((child for child in found.children() if child.kind == kind), None) if found else None
        return found

    def need(self, *path: str) -> Box:
        """Like find; a missing box is OutputInvalid."""
        found = self.find(*path)
        if found is None:
            raise OutputInvalid(f"{self.where}: no {'/'.join(path)} in the {self.kind} box at byte {self.offset}")
        return found


def walk(data: bytes | memoryview, *, where: str, base: int = 0) -> Iterator[Box]:
    """The boxes that fill `data`, in order. `base` is added to the offsets that are reported."""
    view = memoryview(data)
    position = 0
    for _ in range(CHILDREN_LIMIT):
        if position == len(view):
            return
        kind, header, size = _header(view[position : position + 16], base + position, len(view) - position, where)
        yield Box(kind, base + position, size, view[position + header : position + size], where)
        position += size
    raise OutputInvalid(f"{where}: more than {CHILDREN_LIMIT} boxes below byte {base}")


@dataclass(frozen=True, slots=True)
class Extent:
    """Where a top-level box lies in its file; its bytes are not held."""

    kind: str
    offset: int
    size: int
    header: int

    @property
    def end(self) -> int:
        """First byte after the box."""
        return self.offset + self.size

    @property
    def body_offset(self) -> int:
        """First byte after the header."""
        return self.offset + self.header


def extents(file: BinaryIO, *, where: str) -> Iterator[Extent]:
    """The top-level boxes of an open file, reading only their headers. The last one may run to the end (size 0)."""
    total = file.seek(0, os.SEEK_END)
    offset = 0
    while offset < total:
        file.seek(offset)
        kind, header, size = _header(memoryview(file.read(16)), offset, total - offset, where)
        yield Extent(kind, offset, size, header)
        offset += size


def load(file: BinaryIO, extent: Extent, *, where: str) -> Box:
    """A top-level box with its bytes. Larger than HEADER_LIMIT_BYTES is OutputInvalid: media data is never loaded."""
    if extent.size > HEADER_LIMIT_BYTES:
        raise OutputInvalid(f"{where}: the {extent.kind} box at byte {extent.offset} has {extent.size} bytes")
    file.seek(extent.offset)
    data = file.read(extent.size)
    if len(data) != extent.size:
        raise OutputInvalid(f"{where}: the file shrank while it was read, at byte {extent.offset}")
    return Box(extent.kind, extent.offset, extent.size, memoryview(data)[extent.header :], where)


def _header(head: memoryview, offset: int, available: int, where: str) -> tuple[str, int, int]:
    """Kind, header size and whole size of the box whose first bytes are `head`, checked against `available`."""
    if len(head) < 8:
        raise OutputInvalid(f"{where}: {len(head)} bytes at byte {offset} are too few for a box header")
    size, name = struct.unpack_from(">I4s", head)
    kind = name.decode("latin-1")
    header = 8
    if size == 1:  # the size did not fit 32 bits and follows as 64
        if len(head) < 16:
            raise OutputInvalid(f"{where}: the {kind!r} box at byte {offset} lacks its 64-bit size")
        (size,) = struct.unpack_from(">Q", head, 8)
        header = 16
    elif size == 0:  # to the end of what encloses it
        size = available
    if size < header or size > available:
        raise OutputInvalid(f"{where}: the {kind!r} box at byte {offset} says {size} bytes, {available} are there")
    return kind, header, size


def box(kind: str, *payload: bytes) -> bytes:
    """A box with a 32-bit size. Raises ValueError when the payload is too long for one."""
    size = 8 + sum(len(part) for part in payload)
    if size >= 1 << 32:
        raise ValueError(f"a {kind} box of {size} bytes needs a 64-bit size")
    return size.to_bytes(4) + kind.encode("latin-1") + b"".join(payload)


def full_box(kind: str, version_flags: tuple[int, int], *payload: bytes) -> bytes:
    """A full box: a version and 24 bits of flags come first."""
    version, flags = version_flags
    return box(kind, bytes([version]), flags.to_bytes(3), *payload)
