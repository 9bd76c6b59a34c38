"""Sound as one table of packets, to be cut between any two of them.

An encoder's fragments are too coarse to be cut near every picture boundary, and one fragment per packet would cost
more in headers than the sound itself.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import BinaryIO

from vidcompute.errors import OutputInvalid
from vidcompute.media.fragments import Samples, read_fragments
from vidcompute.media.tracks import Track


@dataclass(frozen=True, slots=True)
class PacketTable:
    """All packets of a file in order: decode time in ticks and place in the file, and their samples' columns."""

    starts: array[int]
    places: array[int]
    samples: Samples

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def end(self) -> int:
        """Decode time after the last packet."""
        return self.starts[-1] + self.samples.durations[-1]

    def nearest(self, ticks: Fraction) -> int:
        """Index of the packet that starts nearest to `ticks`; len(self) if the end of the last one is nearer."""
        after = bisect_left(self.starts, ticks)
        end = self.starts[after] if after < len(self) else self.end
        if after > 0 and ticks - self.starts[after - 1] <= end - ticks:
            return after - 1
        return after

    def part(self, span: range) -> Samples:
        """The samples of packets `span`."""
        rows = slice(span.start, span.stop)
        columns = self.samples
        return Samples(columns.durations[rows], columns.sizes[rows], columns.flags[rows], columns.offsets[rows])

    def ranges(self, span: range) -> Iterator[tuple[int, int]]:
        """The places of packets `span` as few (offset, size) ranges."""
        start = end = self.places[span.start]
        for index in span:
            if self.places[index] != end:
                yield start, end - start
                start = end = self.places[index]
            end += self.samples.sizes[index]
        yield start, end - start


def read_packets(file: BinaryIO, track: Track, *, where: str) -> PacketTable:
    """The packets of a whole file. Fragments that do not follow each other without a gap are OutputInvalid."""
    table = PacketTable(array("Q"), array("Q"), Samples(array("I"), array("I"), array("I"), array("i")))
    expected: int | None = None
    for fragment in read_fragments(file, track, where=where):
        if expected is not None and fragment.tfdt != expected:
            raise OutputInvalid(
                f"{where}: the fragment at byte {fragment.moof.offset} starts at tick {fragment.tfdt}, "
                f"{expected} was expected"
            )
        time, place = fragment.tfdt, fragment.mdat.body_offset
        for duration, size in zip(fragment.samples.durations, fragment.samples.sizes, strict=True):
            table.starts.append(time)
            table.places.append(place)
            time += duration
            place += size
        table.samples.durations.extend(fragment.samples.durations)
        table.samples.sizes.extend(fragment.samples.sizes)
        table.samples.flags.extend(fragment.samples.flags)
        table.samples.offsets.extend(fragment.samples.offsets)
        expected = time
    return table
