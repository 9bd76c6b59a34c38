"""Writing CMAF segments (ISO/IEC 23000-19 §7.3.3): samples of an encoder's file under headers of our own.

Headers are written anew rather than copied: sequence numbers must grow over a whole rendition while every chunk's
encoder counts from one, sound is cut between any two packets, and composition offsets are made positive.
"""

from __future__ import annotations

import hashlib
import sys
from array import array
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from vidcompute.errors import OutputInvalid
from vidcompute.media.boxes import box, full_box
from vidcompute.media.fragments import Samples
from vidcompute.media.tracks import Track

_COPY_BYTES = 1024 * 1024
# tfhd: offsets count from the moof; defaults for duration and flags follow
_TFHD_FLAGS = 0x020000 | 0x8 | 0x20
# trun flags
_DATA_OFFSET = 0x1
_FIRST_SAMPLE_FLAGS = 0x4
_SAMPLE_DURATION = 0x100
_SAMPLE_SIZE = 0x200
_SAMPLE_FLAGS = 0x400
_SAMPLE_COMPOSITION_OFFSET = 0x800

#: `msdh` for DASH (ISO/IEC 23009-1 §6.3.4.2), `cmfs` for CMAF segments.
STYP = box("styp", b"msdh", bytes(4), b"msdh", b"cmfs")


class SegmentFile:
    """A file being written, with its size and digest. Copies in pieces: memory does not grow with the media."""

    def __init__(self, path: Path) -> None:
        """Creates `path`, or empties it."""
        self._file = path.open("wb")
        self._digest = hashlib.sha256()
        self.name = path.name
        self.size_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    @property
    def sha256(self) -> str:
        """Digest of what was written so far, in hexadecimal."""
        return self._digest.hexdigest()

    def write(self, data: bytes) -> None:
        """Appends `data`."""
        self._file.write(data)
        self._digest.update(data)
        self.size_bytes += len(data)

    def copy(self, source: BinaryIO, offset: int, *, size: int) -> None:
        """Appends `size` bytes of `source` from `offset` on."""
        source.seek(offset)
        while size:
            data = source.read(min(size, _COPY_BYTES))
            if not data:
                raise OutputInvalid(f"{self.name}: the input ended {size} bytes early")
            self.write(data)
            size -= len(data)


def append_fragment(
    target: SegmentFile,
    source: BinaryIO,
    *,
    track: Track,
    sequence: int,
    tfdt: int,
    samples: Samples,
    places: Iterable[tuple[int, int]],
) -> None:
    """Writes one fragment; `places` are the (offset, size) ranges of `source` that hold the samples in order."""
    payload = sum(samples.sizes)
    if payload + 8 >= 1 << 32:
        raise OutputInvalid(f"{target.name}: a fragment of {payload} bytes")
    target.write(_moof(track, sequence, tfdt=tfdt, samples=samples))
    target.write((payload + 8).to_bytes(4) + b"mdat")
    for offset, size in places:
        target.copy(source, offset, size=size)


def _moof(track: Track, sequence: int, *, tfdt: int, samples: Samples) -> bytes:
    flags, columns = _run_columns(samples)
    default_flags = samples.flags[-1]  # of all, or of all but the first
    defaults = track.id.to_bytes(4) + samples.durations[0].to_bytes(4) + default_flags.to_bytes(4)
    first = samples.flags[0].to_bytes(4) if flags & _FIRST_SAMPLE_FLAGS else b""
    version = int(min(samples.offsets) < 0)
    head = full_box("mfhd", (0, 0), sequence.to_bytes(4))
    tfhd = full_box("tfhd", (0, _TFHD_FLAGS), defaults)
    time = full_box("tfdt", (1, 0), tfdt.to_bytes(8))
    rows = _interleave(columns)

    def moof(data_offset: int) -> bytes:
        fixed = len(samples).to_bytes(4) + data_offset.to_bytes(4) + first
        return box("moof", head, box("traf", tfhd, time, full_box("trun", (version, flags), fixed, rows)))

    return moof(len(moof(0)) + 8)  # the data begin after the header of the mdat that follows


def _run_columns(samples: Samples) -> tuple[int, list[array[int]]]:
    """Flags of the trun, and the columns that it must store for each sample: only those that vary."""
    flags, columns = _DATA_OFFSET | _SAMPLE_SIZE, [samples.sizes]
    if len(set(samples.durations)) > 1:
        flags |= _SAMPLE_DURATION
        columns.insert(0, samples.durations)
    if len(set(samples.flags[1:])) > 1:
        flags |= _SAMPLE_FLAGS
        columns.append(samples.flags)
    elif samples.flags[0] != samples.flags[-1]:
        flags |= _FIRST_SAMPLE_FLAGS
    if any(samples.offsets):
        flags |= _SAMPLE_COMPOSITION_OFFSET
        columns.append(array("I", samples.offsets.tobytes()))
    return flags, columns


def _interleave(columns: list[array[int]]) -> bytes:
    """Columns as rows of big-endian fields."""
    rows = array("I", bytes(4 * len(columns) * len(columns[0])))
    for index, column in enumerate(columns):
        rows[index :: len(columns)] = column
    if sys.byteorder == "little":
        rows.byteswap()
    return rows.tobytes()
