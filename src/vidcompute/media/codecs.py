"""Codec strings from sample entries (RFC 6381; ISO/IEC 14496-15 annex E; AV1 and VP9 ISOBMFF bindings)."""

from __future__ import annotations

from collections.abc import Callable

from vidcompute.domain.media import Transfer
from vidcompute.errors import OutputInvalid
from vidcompute.media.boxes import Box, Cursor, walk

#: Fields of VisualSampleEntry and AudioSampleEntry (QuickTime version 0) before the boxes inside them.
_VISUAL_ENTRY_BYTES = 78
_AUDIO_ENTRY_BYTES = 28

#: ITU-T H.273 transfer characteristics that are not standard dynamic range.
_TRANSFERS = {16: Transfer.PQ, 18: Transfer.HLG}

_ES_DESCRIPTOR = 0x03
_DECODER_CONFIG_DESCRIPTOR = 0x04
_DECODER_SPECIFIC_INFO = 0x05
_MPEG4_AUDIO = 0x40


def video_codec(entry: Box) -> str:
    """The codec string of a visual sample entry, e.g. `avc1.64001f`. OutputInvalid names an entry of another kind."""
    maker = _VIDEO.get(entry.kind)
    if maker is None:
        raise OutputInvalid(f"{entry.where}: no codec string is known for sample entry {entry.kind!r}")
    return maker(entry)


def audio_codec(entry: Box) -> str:
    """The codec string of an audio sample entry, e.g. `mp4a.40.2`."""
    if entry.kind == "mp4a":
        return _mp4a(_config(entry, "esds", _AUDIO_ENTRY_BYTES))
    plain = {"Opus": "opus", "ac-3": "ac-3", "ec-3": "ec-3", "fLaC": "flac"}.get(entry.kind)
    if plain is None:
        raise OutputInvalid(f"{entry.where}: no codec string is known for sample entry {entry.kind!r}")
    return plain


def picture_size(entry: Box) -> tuple[int, int]:
    """Width and height in pixels of a visual sample entry."""
    fields = entry.cursor()
    fields.skip(24)
    return fields.u16(), fields.u16()


def transfer(entry: Box) -> Transfer:
    """Transfer characteristics of a visual sample entry by its `colr` box; without one, standard range."""
    colour = _find(entry, "colr", _VISUAL_ENTRY_BYTES)
    if colour is None:
        return Transfer.SDR
    fields = colour.cursor()
    if fields.take(4) not in {b"nclx", b"nclc"}:
        return Transfer.SDR
    fields.skip(2)  # primaries
    return _TRANSFERS.get(fields.u16(), Transfer.SDR)


def sound(entry: Box) -> tuple[int, int]:
    """Channels and sample rate in Hz of an audio sample entry."""
    fields = entry.cursor()
    fields.skip(16)
    channels = fields.u16()
    fields.skip(6)
    return channels, fields.u32() >> 16  # 16.16 fixed point


def nal_length_bytes(entry: Box) -> int | None:
    """Size of the length field before each NAL unit (H.264, HEVC), or None for codecs without NAL units."""
    if entry.kind in {"avc1", "avc3"}:
        config = _config(entry, "avcC", _VISUAL_ENTRY_BYTES)
        config.skip(4)
        return (config.u8() & 3) + 1
    if entry.kind in {"hvc1", "hev1"}:
        config = _config(entry, "hvcC", _VISUAL_ENTRY_BYTES)
        config.skip(21)
        return (config.u8() & 3) + 1
    return None


def _find(entry: Box, kind: str, fixed_bytes: int) -> Box | None:
    inside = entry.body[fixed_bytes:]
    base = entry.offset + entry.size - len(inside)
    return next((child for child in walk(inside, where=entry.where, base=base) if child.kind == kind), None)


def _config(entry: Box, kind: str, fixed_bytes: int) -> Cursor:
    found = _find(entry, kind, fixed_bytes)
    if found is None:
        raise OutputInvalid(f"{entry.where}: the {entry.kind} sample entry at byte {entry.offset} has no {kind} box")
    return found.cursor()


def _avc(entry: Box) -> str:
    config = _config(entry, "avcC", _VISUAL_ENTRY_BYTES)
    config.skip(1)
    return f"{entry.kind}.{config.take(3).hex()}"


def _hevc(entry: Box) -> str:
    """ISO/IEC 14496-15 §E.3: space and profile, reversed compatibility bits, tier and level, constraint bytes."""
    config = _config(entry, "hvcC", _VISUAL_ENTRY_BYTES)
    config.skip(1)
    profile = config.u8()
    compatibility = int(f"{config.u32():032b}"[::-1], 2)
    constraints = config.take(6).rstrip(b"\0")
    level = config.u8()
    space = ("", "A", "B", "C")[profile >> 6]
    tier = "H" if profile & 0x20 else "L"
    parts = [entry.kind, f"{space}{profile & 0x1F}", f"{compatibility:X}", f"{tier}{level}"]
    return ".".join(parts + [f"{byte:X}" for byte in constraints])


def _av1(entry: Box) -> str:
    config = _config(entry, "av1C", _VISUAL_ENTRY_BYTES)
    config.skip(1)
    profile_level, flags = config.u8(), config.u8()
    profile, level = profile_level >> 5, profile_level & 0x1F
    tier = "H" if flags & 0x80 else "M"
    depth = 8
    if flags & 0x40:  # high_bitdepth
        depth = 12 if profile == 2 and flags & 0x20 else 10
    return f"av01.{profile}.{level:02}{tier}.{depth:02}"


def _vp9(entry: Box) -> str:
    config = _config(entry, "vpcC", _VISUAL_ENTRY_BYTES)
    config.full()
    profile, level, depth = config.u8(), config.u8(), config.u8() >> 4
    return f"vp09.{profile:02}.{level:02}.{depth:02}"


_VIDEO: dict[str, Callable[[Box], str]] = {
    "avc1": _avc,
    "avc3": _avc,
    "hvc1": _hevc,
    "hev1": _hevc,
    "av01": _av1,
    "vp09": _vp9,
}


def _mp4a(esds: Cursor) -> str:
    """ISO/IEC 14496-1 §7.2.6: ES descriptor → decoder config → decoder specific info → audio object type."""
    esds.full()
    _descriptor(esds, _ES_DESCRIPTOR)
    esds.skip(2)
    flags = esds.u8()
    if flags & 0x80:  # depends on another stream
        esds.skip(2)
    if flags & 0x40:  # URL
        esds.skip(esds.u8())
    if flags & 0x20:  # clock reference
        esds.skip(2)
    _descriptor(esds, _DECODER_CONFIG_DESCRIPTOR)
    object_type = esds.u8()
    if object_type != _MPEG4_AUDIO:
        return f"mp4a.{object_type:02x}"
    esds.skip(12)
    _descriptor(esds, _DECODER_SPECIFIC_INFO)
    first = esds.u8()
    audio_type = first >> 3
    if audio_type == 31:  # escape: six more bits, from 32
        audio_type = 32 + ((first & 7) << 3 | esds.u8() >> 5)
    return f"mp4a.40.{audio_type}"


def _descriptor(fields: Cursor, tag: int) -> None:
    """Passes over the tag and length of an expandable descriptor; another tag is OutputInvalid."""
    found = fields.u8()
    if found != tag:
        raise OutputInvalid(f"esds: descriptor {found:#x} where {tag:#x} was expected")
    for _ in range(4):
        if not fields.u8() & 0x80:
            return
