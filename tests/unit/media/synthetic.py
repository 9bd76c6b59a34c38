"""Fragmented MP4 made of boxes alone, and plans that fit it: for tests of what reads and cuts such files."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from vidcompute.domain.job import Codec, Preset
from vidcompute.domain.plan import AudioPlan, ChunkPlan, PicturePlan, Plan, RenditionPlan
from vidcompute.media.boxes import box, full_box

RATE = Fraction(30000, 1001)
TICKS = 1001
SYNC = 0x02000000
NON_SYNC = 0x01010000

#: What x264 wrote for a 320x180 High profile stream at level 1.3.
AVCC = bytes.fromhex("0164000dffe100046764000d010004" + "68ef8472" + "fdf8f800")
#: AAC-LC, 48 kHz, stereo.
ESDS = bytes.fromhex("03808080250001000480808017401500000000017700000177000580808005119056e500068080800102")
#: An IDR slice in one NAL unit with a length of 4 bytes.
IDR_SAMPLE = (2).to_bytes(4) + b"\x65\x88"


def visual_entry(kind: str, *inside: bytes, width: int = 320, height: int = 180) -> bytes:
    return box(kind, bytes(24), width.to_bytes(2), height.to_bytes(2), bytes(50), *inside)


def audio_entry(kind: str, *inside: bytes, channels: int = 2, rate: int = 48000) -> bytes:
    return box(kind, bytes(16), channels.to_bytes(2), bytes(6), (rate << 16).to_bytes(4), *inside)


def init(
    *, handler: bytes = b"vide", timescale: int = 30000, entries: Sequence[bytes] = (), media_times: Sequence[int] = ()
) -> bytes:
    """ftyp and moov with one track; `media_times` make an edit list."""
    entries = entries or [visual_entry("avc1", box("avcC", AVCC))]
    stsd = full_box("stsd", (0, 0), len(entries).to_bytes(4), *entries)
    mdhd = full_box("mdhd", (0, 0), bytes(8), timescale.to_bytes(4), bytes(8))
    hdlr = full_box("hdlr", (0, 0), bytes(4), handler, bytes(13))
    mdia = box("mdia", mdhd, hdlr, box("minf", box("stbl", stsd)))
    edits = [bytes(4) + time.to_bytes(4, signed=True) + (1 << 16).to_bytes(4) for time in media_times]
    edts = [box("edts", full_box("elst", (0, 0), len(edits).to_bytes(4), *edits))] if edits else []
    trex = full_box("trex", (0, 0), (1).to_bytes(4), (1).to_bytes(4), bytes(12))
    mvhd = full_box("mvhd", (0, 0), bytes(8), (1000).to_bytes(4), bytes(84))
    moov = box("moov", mvhd, box("trak", *edts, mdia), box("mvex", trex))
    return box("ftyp", b"iso6", bytes(4), b"cmfc") + moov


def audio_init(*, media_times: Sequence[int] = (1024,)) -> bytes:
    entry = audio_entry("mp4a", full_box("esds", (0, 0), ESDS))
    return init(handler=b"soun", timescale=48000, entries=[entry], media_times=media_times)


def fragment(
    *,
    tfdt: int,
    samples: int,
    ticks: int = TICKS,
    sequence: int = 1,
    first_flags: int = SYNC,
    sample: bytes = IDR_SAMPLE,
    offset_error: int = 0,
) -> bytes:
    """One moof and mdat with `samples` equal samples."""
    defaults = (1).to_bytes(4) + ticks.to_bytes(4) + len(sample).to_bytes(4) + NON_SYNC.to_bytes(4)

    def moof(data_offset: int) -> bytes:
        traf = box(
            "traf",
            full_box("tfhd", (0, 0x020038), defaults),
            full_box("tfdt", (1, 0), tfdt.to_bytes(8)),
            full_box("trun", (0, 0x5), samples.to_bytes(4), data_offset.to_bytes(4), first_flags.to_bytes(4)),
        )
        return box("moof", full_box("mfhd", (0, 0), sequence.to_bytes(4)), traf)

    return moof(len(moof(0)) + 8 + offset_error) + box("mdat", sample * samples)


def chunk(frames: int, *, start: int = 0, gop: int = 30, head: bytes | None = None) -> bytes:
    """A chunk file of `frames` pictures, one fragment per GOP."""
    parts = [head or init()]
    for first in range(start, start + frames, gop):
        count = min(gop, start + frames - first)
        parts.append(fragment(tfdt=first * TICKS, samples=count, sequence=len(parts)))
    return b"".join(parts)


def sound(packets: int, *, per_fragment: int = 5, head: bytes | None = None) -> bytes:
    """A file of AAC packets of 1024 ticks; packet n holds its number, so that its place can be recognised."""
    parts = [head or audio_init()]
    for first in range(0, packets, per_fragment):
        count = min(per_fragment, packets - first)
        piece = fragment(tfdt=first * 1024, samples=count, ticks=1024, sequence=len(parts), sample=b"aac!")
        numbers = b"".join(number.to_bytes(4) for number in range(first, first + count))
        parts.append(piece[: -4 * count] + numbers)
    return b"".join(parts)


def plan_for(
    frames: int,
    *,
    chunk_starts: Sequence[int] = (0,),
    rungs: Sequence[tuple[str, int, int]] = (("v0", 320, 180),),
    audio: Sequence[AudioPlan] = (),
    rate: Fraction = RATE,
    codec: Codec = Codec.H264,
    gop_frames: int = 30,
    segment_frames: int = 90,
) -> Plan:
    """A plan of `frames` pictures cut into chunks at `chunk_starts`."""
    ends = [*chunk_starts[1:], None]
    return Plan(
        version=1,
        video_stream_index=0,
        origin=Fraction(0),
        duration=frames / rate,
        source_frames=frames,
        output_frames=frames,
        picture=PicturePlan(deinterlace=False, tone_map=False, frame_rate=rate, source_is_cfr=True),
        gop_frames=gop_frames,
        segment_frames=segment_frames,
        renditions=tuple(RenditionPlan(name, w, h, codec, Preset.FAST, 30, 1_000_000) for name, w, h in rungs),
        audio=tuple(audio),
        chunks=tuple(ChunkPlan(i, start, end) for i, (start, end) in enumerate(zip(chunk_starts, ends, strict=True))),
        analysis=None,
    )


def audio_plan(name: str = "a0", *, language: str = "eng", title: str = "", default: bool = True) -> AudioPlan:
    return AudioPlan(name, 1, "aac", 96000, 2, 48000, language, title, default)


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path
