"""Movie fragments (ISO/IEC 14496-12 §8.8): where each lies, when it plays, and the size of every sample."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import BinaryIO

from vidcompute.errors import OutputInvalid
from vidcompute.media.boxes import Box, Extent, extents, load
from vidcompute.media.tracks import SampleDefaults, Track

# tfhd flags
_BASE_DATA_OFFSET = 0x1
_SAMPLE_DESCRIPTION_INDEX = 0x2
_DEFAULT_DURATION = 0x8
_DEFAULT_SIZE = 0x10
_DEFAULT_FLAGS = 0x20
# trun flags
_DATA_OFFSET = 0x1
_FIRST_SAMPLE_FLAGS = 0x4
_SAMPLE_DURATION = 0x100
_SAMPLE_SIZE = 0x200
_SAMPLE_FLAGS = 0x400
_SAMPLE_COMPOSITION_OFFSET = 0x800
#: Fields of a sample, in the order in which a run stores them.
_PER_SAMPLE = (_SAMPLE_DURATION, _SAMPLE_SIZE, _SAMPLE_FLAGS, _SAMPLE_COMPOSITION_OFFSET)
# sample flags
_IS_NON_SYNC = 0x10000

#: A minute at 1000 samples per second; a fragment of ours holds one GOP, or a fraction of a second of sound.
_SAMPLES_LIMIT = 60_000
_TIME_LIMIT = 1 << 62


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples as columns of equal length: ticks, bytes, sample flags, and composition minus decode time in ticks."""

    durations: array[int]
    sizes: array[int]
    flags: array[int]
    offsets: array[int]

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def duration(self) -> int:
        """Sum of the durations."""
        return sum(self.durations)

    @property
    def earliest(self) -> int:
        """Smallest composition time, counted from the decode time of the first sample."""
        starts = accumulate(self.durations, initial=0)
        return min(start + offset for start, offset in zip(starts, self.offsets, strict=False))


@dataclass(frozen=True, slots=True)
class Fragment:
    """One moof and its mdat. Times are ticks of the track."""

    moof: Extent
    mdat: Extent
    #: Number of the fragment, which must grow within a rendition.
    sequence: int
    #: Decode time of the first sample.
    tfdt: int
    samples: Samples

    @property
    def end(self) -> int:
        """Decode time of what must come next."""
        return self.tfdt + self.samples.duration

    @property
    def earliest(self) -> int:
        """Smallest composition time, before the edit list: when the first picture shows."""
        return self.tfdt + self.samples.earliest

    @property
    def starts_sync(self) -> bool:
        """Whether the first sample can be decoded by itself."""
        return not self.samples.flags[0] & _IS_NON_SYNC


def read_fragments(file: BinaryIO, track: Track, *, where: str) -> Iterator[Fragment]:
    """The fragments in file order. A moof without its mdat, or samples that do not fill it, is OutputInvalid."""
    moof: Extent | None = None
    for extent in extents(file, where=where):
        if moof is not None:
            if extent.kind != "mdat":
                raise OutputInvalid(f"{where}: {extent.kind!r} instead of mdat after the moof at byte {moof.offset}")
            yield _parse_moof(load(file, moof, where=where), moof, mdat=extent, defaults=track.defaults)
            moof = None
        elif extent.kind == "moof":
            moof = extent
        elif extent.kind == "mdat":
            raise OutputInvalid(f"{where}: the mdat at byte {extent.offset} belongs to no moof")
    if moof is not None:
        raise OutputInvalid(f"{where}: the moof at byte {moof.offset} has no mdat")


def _parse_moof(box: Box, moof: Extent, *, mdat: Extent, defaults: SampleDefaults) -> Fragment:
    parts = [child.kind for child in box.children()]
    traf = box.need("traf")
    runs = [child for child in traf.children() if child.kind == "trun"]
    if parts.count("traf") != 1 or len(runs) != 1:
        raise OutputInvalid(f"{box.where}: the moof at byte {moof.offset} does not hold exactly one track run")
    defaults = _track_fragment_defaults(traf.need("tfhd"), defaults)
    data_offset, samples = _parse_run(runs[0], defaults, moof_bytes=moof.size)
    # The samples must be all of the mdat that directly follows: nothing hidden, nothing shared.
    if data_offset != mdat.body_offset - moof.offset or sum(samples.sizes) != mdat.size - mdat.header:
        raise OutputInvalid(
            f"{box.where}: the moof at byte {moof.offset} names {sum(samples.sizes)} bytes from {data_offset} on, "
            f"its mdat holds {mdat.size - mdat.header} from {mdat.body_offset - moof.offset} on"
        )
    return Fragment(moof, mdat, _sequence(box.need("mfhd")), _decode_time(traf.need("tfdt")), samples)


def _sequence(mfhd: Box) -> int:
    fields = mfhd.cursor()
    fields.full()
    return fields.u32()


def _decode_time(tfdt: Box) -> int:
    fields = tfdt.cursor()
    version, _ = fields.full()
    ticks = fields.u64() if version else fields.u32()
    if ticks > _TIME_LIMIT:
        raise OutputInvalid(f"{tfdt.where}: decode time {ticks} lies beyond any media (a negative one looks like this)")
    return ticks


def _track_fragment_defaults(tfhd: Box, track: SampleDefaults) -> SampleDefaults:
    fields = tfhd.cursor()
    _, flags = fields.full()
    fields.skip(4)  # track id
    if flags & _BASE_DATA_OFFSET:
        raise OutputInvalid(f"{tfhd.where}: a fragment with absolute data offsets cannot be moved")
    if flags & _SAMPLE_DESCRIPTION_INDEX:
        fields.skip(4)
    return SampleDefaults(
        duration=fields.u32() if flags & _DEFAULT_DURATION else track.duration,
        size=fields.u32() if flags & _DEFAULT_SIZE else track.size,
        flags=fields.u32() if flags & _DEFAULT_FLAGS else track.flags,
    )


def _parse_run(trun: Box, defaults: SampleDefaults, *, moof_bytes: int) -> tuple[int, Samples]:
    """Data offset from the start of the moof, and the samples."""
    fields = trun.cursor()
    _, flags = fields.full()
    count = fields.u32()
    if not 0 < count <= _SAMPLES_LIMIT:
        raise OutputInvalid(f"{trun.where}: a track run at byte {trun.offset} with {count} samples")
    data_offset = fields.i32() if flags & _DATA_OFFSET else moof_bytes
    first_flags = fields.u32() if flags & _FIRST_SAMPLE_FLAGS else None
    present = [flag for flag in _PER_SAMPLE if flags & flag]
    rows = array("I", fields.take(4 * len(present) * count))
    if sys.byteorder == "little":
        rows.byteswap()

    def column(flag: int, default: int) -> array[int]:
        if flag in present:
            return rows[present.index(flag) :: len(present)]
        return array("I", [default]) * count

    samples = Samples(
        durations=column(_SAMPLE_DURATION, defaults.duration),
        sizes=column(_SAMPLE_SIZE, defaults.size),
        flags=column(_SAMPLE_FLAGS, defaults.flags),
        # Version 0 is unsigned by the letter; read as signed it is the same for every offset below 2^31.
        offsets=array("i", column(_SAMPLE_COMPOSITION_OFFSET, 0).tobytes()),
    )
    if first_flags is not None:
        samples.flags[0] = first_flags
    return data_offset, samples
