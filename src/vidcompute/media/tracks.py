"""The head of a one-track fragmented MP4: what `ftyp` and `moov` say (ISO/IEC 14496-12 §8.3 to §8.8)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import BinaryIO

from vidcompute.domain.media import Transfer
from vidcompute.errors import OutputInvalid
from vidcompute.media import codecs
from vidcompute.media.boxes import Box, extents, load


class TrackKind(StrEnum):
    """What a track shows."""

    VIDEO = "video"
    AUDIO = "audio"


@dataclass(frozen=True, slots=True)
class SampleDefaults:
    """What a sample has when its fragment does not say: duration in ticks, size in bytes, flags."""

    duration: int
    size: int
    flags: int


@dataclass(frozen=True, slots=True)
class Track:
    """The one track of a file, from its `moov`.

    `shift` is what the edit list takes off every composition time, in ticks: the encoder's priming for AAC
    and Opus (ISO/IEC 14496-12 §8.6.6). Presentation time is tfdt + composition offset − shift.
    """

    kind: TrackKind
    id: int
    codec: str
    timescale: int
    shift: int
    defaults: SampleDefaults
    #: Video only.
    width_px: int = 0
    height_px: int = 0
    transfer: Transfer = Transfer.SDR
    nal_length_bytes: int | None = None
    #: Audio only.
    channels: int = 0
    sample_rate_hz: int = 0


@dataclass(frozen=True, slots=True)
class Head:
    """A file's track, and `init`: its ftyp and moov byte for byte, ready to be an initialization segment."""

    track: Track
    init: bytes


def read_head(file: BinaryIO, *, where: str) -> Head | None:
    """The head of a file, or None where no movie was begun (an encoder that got no sample may write nothing)."""
    init: list[bytes] = []
    for extent in extents(file, where=where):
        if extent.kind not in {"ftyp", "moov"}:
            continue
        box = load(file, extent, where=where)
        file.seek(extent.offset)
        init.append(file.read(extent.size))
        if extent.kind == "moov":
            return Head(parse_moov(box), b"".join(init))
    return None


def parse_moov(moov: Box) -> Track:
    """The one track that `moov` describes. OutputInvalid when there are none or several, or it is no media."""
    traks = [child for child in moov.children() if child.kind == "trak"]
    if len(traks) != 1:
        raise OutputInvalid(f"{moov.where}: one track expected, {len(traks)} found")
    trak = traks[0]
    handler = trak.need("mdia", "hdlr").cursor()
    handler.skip(8)
    kind = handler.take(4)
    if kind == b"vide":
        return _video(moov, trak)
    if kind == b"soun":
        return _audio(moov, trak)
    raise OutputInvalid(f"{moov.where}: a track of kind {kind!r} is neither picture nor sound")


def _video(moov: Box, trak: Box) -> Track:
    entry = _sample_entry(trak)
    width_px, height_px = codecs.picture_size(entry)
    return Track(
        kind=TrackKind.VIDEO,
        id=_track_id(moov),
        codec=codecs.video_codec(entry),
        timescale=_timescale(trak.need("mdia", "mdhd")),
        shift=_shift(moov, trak),
        defaults=_defaults(moov),
        width_px=width_px,
        height_px=height_px,
        transfer=codecs.transfer(entry),
        nal_length_bytes=codecs.nal_length_bytes(entry),
    )


def _audio(moov: Box, trak: Box) -> Track:
    entry = _sample_entry(trak)
    channels, sample_rate_hz = codecs.sound(entry)
    timescale = _timescale(trak.need("mdia", "mdhd"))
    return Track(
        kind=TrackKind.AUDIO,
        id=_track_id(moov),
        codec=codecs.audio_codec(entry),
        timescale=timescale,
        shift=_shift(moov, trak),
        defaults=_defaults(moov),
        channels=channels,
        sample_rate_hz=sample_rate_hz or timescale,  # rates above 65535 Hz do not fit the 16.16 field
    )


def _sample_entry(trak: Box) -> Box:
    stsd = trak.need("mdia", "minf", "stbl", "stsd")
    inside = Box(stsd.kind, stsd.offset, stsd.size, stsd.body[8:], stsd.where)  # version, flags and entry count
    entries = list(inside.children())
    if len(entries) != 1:
        # A second entry would need sample description indexes, and players want one codec per rendition.
        raise OutputInvalid(f"{trak.where}: one sample entry expected, {len(entries)} found")
    return entries[0]


def _timescale(header: Box) -> int:
    """Ticks per second of an mvhd or mdhd box."""
    fields = header.cursor()
    version, _ = fields.full()
    fields.skip(16 if version == 1 else 8)  # creation and modification time
    timescale = fields.u32()
    if timescale == 0:
        raise OutputInvalid(f"{header.where}: {header.kind} has a timescale of 0")
    return timescale


def _track_id(moov: Box) -> int:
    fields = moov.need("mvex", "trex").cursor()
    fields.full()
    return fields.u32()


def _defaults(moov: Box) -> SampleDefaults:
    fields = moov.need("mvex", "trex").cursor()
    fields.skip(12)  # version and flags, track id, sample description index
    return SampleDefaults(duration=fields.u32(), size=fields.u32(), flags=fields.u32())


def _shift(moov: Box, trak: Box) -> int:
    """Ticks between composition time and presentation time: media time of the edit, less an empty edit before it."""
    elst = trak.find("edts", "elst")
    if elst is None:
        return 0
    fields = elst.cursor()
    version, _ = fields.full()
    count = fields.u32()
    if count not in {1, 2}:
        raise OutputInvalid(f"{elst.where}: an edit list of {count} entries cannot be published as it is")
    delay = Fraction(0)
    for _ in range(count):
        duration = fields.u64() if version == 1 else fields.u32()
        media_time = fields.i64() if version == 1 else fields.i32()
        fields.skip(4)  # rate
        if media_time >= 0:
            return media_time - int(delay * _timescale(trak.need("mdia", "mdhd")))
        delay += Fraction(duration, _timescale(moov.need("mvhd")))
    raise OutputInvalid(f"{elst.where}: the edit list shows nothing")
