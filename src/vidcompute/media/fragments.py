"""Movie fragments (ISO/IEC 14496-12 §8.8): where each lies, when it plays, and the size of every sample."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from vidcompute.errors import OutputInvalid
from vidcompute.media.boxes import Box, Cursor, Extent, extents, load
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
# sample flags
_IS_NON_SYNC = 0x10000

#: A minute at 1000 samples per second; a fragment of ours holds one GOP, or a fraction of a second of sound.
_SAMPLES_LIMIT = 60_000


@dataclass(frozen=True, slots=True)
class Fragment:
    """One moof and its mdat. Times are ticks of the track; `durations` and `sizes` have one entry per sample."""

    moof: Extent
    mdat: Extent
    #: Number of the fragment, which must grow within a rendition.
    sequence: int
    #: Decode time of the first sample.
    tfdt: int
    #: Smallest composition time, before the edit list: when the first picture shows.
    earliest: int
    #: Whether the first sample can be decoded by itself.
    starts_sync: bool
    durations: array[int]
    sizes: array[int]

    @property
    def duration(self) -> int:
        """Sum of the sample durations."""
        return sum(self.durations)

    @property
    def end(self) -> int:
        """Decode time of what must come next."""
        return self.tfdt + self.duration


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
    run = _parse_run(runs[0], _track_fragment_defaults(traf.need("tfhd"), defaults))
    data_offset = moof.size if run.data_offset is None else run.data_offset
    # Fragments are moved as they are, so their data must be all of the mdat that directly follows.
    if data_offset != mdat.body_offset - moof.offset or sum(run.sizes) != mdat.size - mdat.header:
        raise OutputInvalid(
            f"{box.where}: the moof at byte {moof.offset} names {sum(run.sizes)} bytes from {data_offset} on, "
            f"its mdat holds {mdat.size - mdat.header} from {mdat.body_offset - moof.offset} on"
        )
    decode_time = _decode_time(traf.need("tfdt"))
    return Fragment(
        moof=moof,
        mdat=mdat,
        sequence=_sequence(box.need("mfhd")),
        tfdt=decode_time,
        earliest=decode_time + run.earliest,
        starts_sync=run.starts_sync,
        durations=run.durations,
        sizes=run.sizes,
    )


def _sequence(mfhd: Box) -> int:
    fields = mfhd.cursor()
    fields.full()
    return fields.u32()


def _decode_time(tfdt: Box) -> int:
    fields = tfdt.cursor()
    version, _ = fields.full()
    return fields.u64() if version else fields.u32()


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


@dataclass(frozen=True, slots=True)
class _Run:
    data_offset: int | None
    starts_sync: bool
    #: Smallest composition time relative to the decode time of the first sample.
    earliest: int
    durations: array[int]
    sizes: array[int]


def _parse_run(trun: Box, defaults: SampleDefaults) -> _Run:
    fields = trun.cursor()
    version, flags = fields.full()
    count = fields.u32()
    if not 0 < count <= _SAMPLES_LIMIT:
        raise OutputInvalid(f"{trun.where}: a track run at byte {trun.offset} with {count} samples")
    data_offset = fields.i32() if flags & _DATA_OFFSET else None
    first_flags = fields.u32() if flags & _FIRST_SAMPLE_FLAGS else None
    durations, sizes = array("I"), array("I")
    elapsed, earliest = 0, None
    for _ in range(count):
        sample = _sample(fields, flags, defaults=defaults)
        if first_flags is None:
            first_flags = sample.flags
        offset = _composition_offset(fields, version) if flags & _SAMPLE_COMPOSITION_OFFSET else 0
        earliest = elapsed + offset if earliest is None else min(earliest, elapsed + offset)
        durations.append(sample.duration)
        sizes.append(sample.size)
        elapsed += sample.duration
    assert earliest is not None
    assert first_flags is not None
    return _Run(data_offset, not first_flags & _IS_NON_SYNC, earliest, durations, sizes)


def _sample(fields: Cursor, flags: int, *, defaults: SampleDefaults) -> SampleDefaults:
    return SampleDefaults(
        duration=fields.u32() if flags & _SAMPLE_DURATION else defaults.duration,
        size=fields.u32() if flags & _SAMPLE_SIZE else defaults.size,
        flags=fields.u32() if flags & _SAMPLE_FLAGS else defaults.flags,
    )


def _composition_offset(fields: Cursor, version: int) -> int:
    # Version 0 is unsigned by the letter; writers of negative offsets use version 1, as ours does.
    return fields.i32() if version else fields.u32()
