"""Reads the samples of a fragmented MP4 the plain way, to judge what encoder and packager wrote.

Independent of the product's own reader on purpose. Players go by decode time plus composition offset; ffmpeg's own
demuxer moves files with negative offsets, so it cannot be the judge of where zero is.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_NON_SYNC = 0x10000


@dataclass(frozen=True)
class Sample:
    """Times in ticks of the track."""

    dts: int
    pts: int
    ticks: int
    key: bool
    fragment: int


def samples(path: Path) -> list[Sample]:
    """Every sample in file order."""
    data = path.read_bytes()
    found: list[Sample] = []
    for number, (start, end) in enumerate(_find(data, ["moof"])):
        found += _fragment(data, start, end, number)
    return found


def init_segment(path: Path) -> bytes:
    """Everything before the first fragment."""
    data = path.read_bytes()
    return data[: next(_find(data, ["moof"]))[0] - 8]


def _find(data: bytes, path: list[str], start: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
    """(begin, end) of the contents of the boxes at `path`."""
    end = len(data) if end is None else end
    while start + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, start)
        if kind.decode("latin-1") == path[0]:
            inner = (start + 8, start + size)
            if len(path) == 1:
                yield inner
            else:
                yield from _find(data, path[1:], *inner)
        start += size


def _fragment(data: bytes, start: int, end: int, number: int) -> Iterator[Sample]:
    tfdt, _ = next(_find(data, ["traf", "tfdt"], start, end))
    dts = struct.unpack_from(">Q" if data[tfdt] else ">I", data, tfdt + 4)[0]
    default_ticks, default_flags = _defaults(data, next(_find(data, ["traf", "tfhd"], start, end))[0])
    for trun, _ in _find(data, ["traf", "trun"], start, end):
        flags, count = struct.unpack_from(">II", data, trun)
        flags &= 0xFFFFFF
        at = trun + 8 + (4 if flags & 1 else 0)
        first = None
        if flags & 4:
            first, at = struct.unpack_from(">I", data, at)[0], at + 4
        for index in range(count):
            ticks, sample_flags, offset = default_ticks, default_flags, 0
            if flags & 0x100:
                ticks, at = struct.unpack_from(">I", data, at)[0], at + 4
            at += 4 if flags & 0x200 else 0
            if flags & 0x400:
                sample_flags, at = struct.unpack_from(">I", data, at)[0], at + 4
            if flags & 0x800:
                offset, at = struct.unpack_from(">i", data, at)[0], at + 4
            if index == 0 and first is not None:
                sample_flags = first
            yield Sample(dts, dts + offset, ticks, not sample_flags & _NON_SYNC, number)
            dts += ticks


def _defaults(data: bytes, tfhd: int) -> tuple[int, int]:
    flags = struct.unpack_from(">I", data, tfhd)[0] & 0xFFFFFF
    at = tfhd + 8 + (8 if flags & 1 else 0) + (4 if flags & 2 else 0)
    ticks = default_flags = 0
    if flags & 8:
        ticks, at = struct.unpack_from(">I", data, at)[0], at + 4
    at += 4 if flags & 0x10 else 0
    if flags & 0x20:
        default_flags = struct.unpack_from(">I", data, at)[0]
    return ticks, default_flags
