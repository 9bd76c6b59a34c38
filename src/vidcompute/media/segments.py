"""Writing CMAF segments (ISO/IEC 23000-19 §7.3.3): from fragments as they are, or from samples of finer fragments."""

from __future__ import annotations

import hashlib
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from vidcompute.errors import OutputInvalid
from vidcompute.media.boxes import box, full_box, load
from vidcompute.media.fragments import Fragment, read_fragments
from vidcompute.media.tracks import Track

_COPY_BYTES = 1024 * 1024
_DEFAULT_BASE_IS_MOOF = 0x020000
_DEFAULT_SAMPLE_DURATION = 0x8
_DEFAULT_SAMPLE_FLAGS = 0x20
_DATA_OFFSET = 0x1
_SAMPLE_DURATION = 0x100
_SAMPLE_SIZE = 0x200
#: sample_depends_on = 2, is_non_sync = 0: every packet of sound stands alone.
_SYNC_SAMPLE = 0x02000000

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


def append_fragment(target: SegmentFile, source: BinaryIO, *, fragment: Fragment, sequence: int) -> None:
    """Copies a fragment. Only its sequence number changes.

    Sequence numbers must grow over the whole rendition (ISO/IEC 14496-12 §8.8.5); each chunk's encoder counts from 1.
    """
    moof = load(source, fragment.moof, where=target.name)
    header = moof.need("mfhd")
    field = header.offset + header.size - 4 - fragment.moof.offset
    source.seek(fragment.moof.offset)
    data = source.read(fragment.moof.size)
    target.write(data[:field] + sequence.to_bytes(4) + data[field + 4 :])
    target.copy(source, fragment.mdat.offset, size=fragment.mdat.size)


@dataclass(frozen=True, slots=True)
class SampleTable:
    """All samples of a file as columns of equal length: decode time and duration in ticks, place and size in bytes."""

    starts: array[int]
    durations: array[int]
    offsets: array[int]
    sizes: array[int]

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def end(self) -> int:
        """Decode time after the last sample."""
        return self.starts[-1] + self.durations[-1]

    def nearest(self, ticks: Fraction) -> int:
        """Index of the sample that starts nearest to `ticks`; len(self) if the end of the last one is nearer."""
        after = bisect_left(self.starts, ticks)
        end = self.starts[after] if after < len(self) else self.end
        if after > 0 and ticks - self.starts[after - 1] <= end - ticks:
            return after - 1
        return after


def read_samples(file: BinaryIO, track: Track, *, where: str) -> SampleTable:
    """The samples of a whole file. Fragments that do not follow each other without a gap are OutputInvalid."""
    table = SampleTable(array("Q"), array("I"), array("Q"), array("I"))
    expected: int | None = None
    for fragment in read_fragments(file, track, where=where):
        if expected is not None and fragment.tfdt != expected:
            raise OutputInvalid(
                f"{where}: the fragment at byte {fragment.moof.offset} starts at tick {fragment.tfdt}, "
                f"{expected} was expected"
            )
        time, place = fragment.tfdt, fragment.mdat.body_offset
        for duration, size in zip(fragment.durations, fragment.sizes, strict=True):
            table.starts.append(time)
            table.offsets.append(place)
            time += duration
            place += size
        table.durations.extend(fragment.durations)
        table.sizes.extend(fragment.sizes)
        expected = time
    return table


def append_samples(
    target: SegmentFile, source: BinaryIO, *, track: Track, table: SampleTable, span: range, sequence: int
) -> None:
    """Writes samples `span` as one new fragment.

    The encoder's fragments are too coarse to cut at any frame, and short ones would cost more in headers than the
    sound itself.
    """
    sizes, durations = table.sizes[span.start : span.stop], table.durations[span.start : span.stop]
    payload = sum(sizes)
    target.write(_moof(track, sequence, tfdt=table.starts[span.start], sizes=sizes, durations=durations))
    target.write((payload + 8).to_bytes(4) + b"mdat")
    for offset, size in _ranges(table, span):
        target.copy(source, offset, size=size)


def _ranges(table: SampleTable, span: range) -> Iterator[tuple[int, int]]:
    """The samples' places as few (offset, size) ranges."""
    start = end = table.offsets[span.start]
    for index in span:
        if table.offsets[index] != end:
            yield start, end - start
            start = end = table.offsets[index]
        end += table.sizes[index]
    yield start, end - start


def _moof(track: Track, sequence: int, *, tfdt: int, sizes: Sequence[int], durations: Sequence[int]) -> bytes:
    uniform = len(set(durations)) == 1
    flags = _DATA_OFFSET | _SAMPLE_SIZE | (0 if uniform else _SAMPLE_DURATION)
    rows = b"".join(
        size.to_bytes(4) if uniform else duration.to_bytes(4) + size.to_bytes(4)
        for size, duration in zip(sizes, durations, strict=True)
    )
    defaults = track.id.to_bytes(4) + durations[0].to_bytes(4) + _SYNC_SAMPLE.to_bytes(4)
    head = full_box("mfhd", (0, 0), sequence.to_bytes(4))
    tfhd = full_box("tfhd", (0, _DEFAULT_BASE_IS_MOOF | _DEFAULT_SAMPLE_DURATION | _DEFAULT_SAMPLE_FLAGS), defaults)
    time = full_box("tfdt", (1, 0), tfdt.to_bytes(8))

    def moof(data_offset: int) -> bytes:
        run = full_box("trun", (0, flags), len(sizes).to_bytes(4), data_offset.to_bytes(4), rows)
        return box("moof", head, box("traf", tfhd, time, run))

    return moof(len(moof(0)) + 8)  # the data begin after the header of the mdat that follows
