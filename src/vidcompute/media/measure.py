"""From the packets of one stream, and its first decoded pictures, to numbers."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import cast

import av
from av.audio.stream import AudioStream as AvAudioStream
from av.packet import Packet
from av.sidedata.sidedata import SideData, Type
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream as AvVideoStream

from vidcompute.domain.media import AudioStream, Scan, Transfer, VideoStream
from vidcompute.errors import LimitExceeded, UnsupportedMedia
from vidcompute.media import rates
from vidcompute.media.scan import ProbeLimits, Tally

#: Pictures decoded on trial: one tells size and colour, a few tell whether the flag "interlaced" is the rule.
_TRIAL_PICTURES = 6

#: ITU-T H.273 codes as ffmpeg spells them; absent codes are reserved or mean "unknown".
_MATRICES = {0: "gbr", 1: "bt709", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "ycgco", 9: "bt2020nc"}
_PRIMARIES = {1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 9: "bt2020", 12: "smpte432"}
_TRANSFERS = {
    1: "bt709",
    4: "bt470m",
    5: "bt470bg",
    6: "smpte170m",
    7: "smpte240m",
    13: "iec61966-2-1",
    14: "bt2020-10",
    15: "bt2020-12",
    16: "smpte2084",
    18: "arib-std-b67",
}
_HDR = {16: Transfer.PQ, 18: Transfer.HLG}
_FULL_RANGE = 2
_LONGEST_PACKET_S = 10
_MATRIX = "=9i"


@dataclass(frozen=True, slots=True)
class Trial:
    """The first decoded pictures, and what the decoder complained about."""

    pictures: tuple[VideoFrame, ...]
    complaint: str

    @property
    def interlaced(self) -> bool:
        """Whether most pictures are woven from two fields."""
        return 2 * sum(picture.interlaced_frame for picture in self.pictures) > len(self.pictures)


def measure_video(tally: Tally, limits: ProbeLimits) -> VideoStream:
    """The chosen stream. Raises UnsupportedMedia if no picture of it decodes, LimitExceeded if it is too large."""
    stream = tally.stream
    assert isinstance(stream, AvVideoStream)
    codec = codec_name(stream)
    if not tally.pts:
        raise UnsupportedMedia(_no_pictures(tally, codec))
    trial = _decode(tally)
    if not trial.pictures:
        raise UnsupportedMedia(
            f"Not one of the first pictures of the {codec} video could be decoded: {trial.complaint}."
        )
    picture = trial.pictures[0]
    if picture.width * picture.height > limits.max_pixels:
        text = (
            f"The picture is {picture.width} × {picture.height}; the limit is {limits.max_pixels} pixels (MAX_PIXELS)."
        )
        raise LimitExceeded(text)
    counted = _counts_decoding(tally, trial)
    pts = shown_pts(tally, trial)
    time_base = Fraction(stream.time_base or Fraction(1, 90_000))
    rate = rates.measure(pts, time_base, hints=_hints(stream))
    # Without one constant rate there is nothing to count by.
    counted = counted and not rate.variable
    start_pts = _first_decoded(tally, pts[0]) if counted else pts[0]
    start = start_pts * time_base
    duration = _duration(pts, tally, rate=rate, time_base=time_base)
    rotation, mirrored = _orientation(picture)
    context = stream.codec_context
    return VideoStream(
        index=stream.index,
        codec=codec,
        width_px=picture.width,
        height_px=picture.height,
        pixel_format=picture.format.name,
        bit_depth=max((component.bits for component in picture.format.components), default=8),
        sar=_sar(stream),
        rotation=rotation,
        mirrored=mirrored,
        scan=Scan.INTERLACED if trial.interlaced else Scan.PROGRESSIVE,
        transfer=_HDR.get(int(picture.color_trc), Transfer.SDR),
        full_range=int(picture.color_range) == _FULL_RANGE or picture.format.name.startswith("yuvj"),
        color_primaries=_PRIMARIES.get(int(picture.color_primaries), "unknown"),
        color_matrix=_MATRICES.get(int(picture.colorspace), "unknown"),
        color_transfer=_TRANSFERS.get(int(picture.color_trc), "unknown"),
        time_base=time_base,
        start=start,
        duration=duration,
        frame_rate=rate.mean,
        variable_rate=rate.variable,
        frames=len(pts),
        bitrate_bps=round(tally.bytes * 8 / duration) if duration else 0,
        has_alpha=_has_alpha(stream, picture, context.name),
        start_pts=start_pts,
        usual_rate=rate.usual,
        counted=counted,
        strays=tally.strays,
    )


def measure_audio(tally: Tally) -> AudioStream:
    """One sound track. A track without a single packet has duration 0."""
    stream = tally.stream
    assert isinstance(stream, AvAudioStream)
    time_base = Fraction(stream.time_base or Fraction(1, 48_000))
    # The demuxer's start already leaves out the encoder's priming, which the packets' timestamps do not.
    first = max(tally.first_pts or 0, stream.start_time if stream.start_time is not None else tally.first_pts or 0)
    # No codec packs so much sound together: a header that says so is damaged.
    last = tally.last_ticks if tally.last_ticks * time_base <= _LONGEST_PACKET_S else 0
    end = tally.last_pts + last if tally.last_pts is not None else first
    return AudioStream(
        index=stream.index,
        codec=codec_name(stream),
        channels=stream.codec_context.channels,
        sample_rate_hz=stream.codec_context.sample_rate or 0,
        language=stream.language or "und",
        title=stream.metadata.get("title", ""),
        default=bool(stream.disposition & 1),
        start=first * time_base,
        duration=max(Fraction(0), (end - first) * time_base),
        strays=tally.strays,
    )


def codec_name(stream: Stream) -> str:
    """The codec's own name (`av1`), not its decoder's (`libdav1d`)."""
    context = getattr(stream, "codec_context", None)
    return context.codec.canonical_name if context is not None else "unknown"


def shown_pts(tally: Tally, trial: Trial) -> list[int]:
    """When each picture is shown, sorted.

    In H.264 field coding every field is a packet, and only every other one begins a picture. Packets nearer
    than three quarters of the decoded pictures' distance are second fields.
    """
    pts = sorted(tally.pts)
    if tally.untimed:
        pts = _filled(pts, tally.untimed, distance=_usual_distance(tally))
    decoded = sorted({picture.pts for picture in trial.pictures if picture.pts is not None})
    if not trial.interlaced or len(decoded) < 2:
        return pts
    distance = min(later - earlier for earlier, later in pairwise(decoded))
    return _apart(pts, Fraction(3 * distance, 4))


def _usual_distance(tally: Tally) -> Fraction:
    """Ticks between pictures where not all of them are stamped."""
    stream = tally.stream
    assert isinstance(stream, AvVideoStream)
    if tally.last_ticks:
        return Fraction(tally.last_ticks)
    rate = next(iter(_hints(stream)), Fraction(25))
    return 1 / (rate * Fraction(stream.time_base or Fraction(1, 90_000)))


def _filled(pts: list[int], missing: int, *, distance: Fraction) -> list[int]:
    """`pts` with the pictures between them that have no stamp: MPEG program streams need one every 0.7 s only."""
    made = pts[:1]
    for tick in pts[1:]:
        before = made[-1]
        room = min(missing, max(0, round((tick - before) / distance) - 1))
        made += [before + (tick - before) * number // (room + 1) for number in range(1, room + 1)]
        made.append(tick)
        missing -= room
    last = made[-1]
    return made + [last + round(number * distance) for number in range(1, missing + 1)]


def _counts_decoding(tally: Tally, trial: Trial) -> bool:
    """Whether stamps only grow from packet to packet, though the decoder shows the pictures in another order.

    AVI has no other clock than the number of the packet, and some writers of Matroska and MXF copy that.
    """
    stamps = [packet.pts for packet in tally.sample if packet.pts is not None]
    shown = [picture.pts for picture in trial.pictures if picture.pts is not None]
    return all(one < other for one, other in pairwise(stamps)) and any(one > other for one, other in pairwise(shown))


def _first_decoded(tally: Tally, first_pts: int) -> int:
    """When the first packet is decoded: libavformat moves stamps later to make room for the order that it misses."""
    first = next((packet.dts for packet in tally.sample if packet.pts == first_pts), None)
    return first_pts if first is None else min(first, first_pts)


def _apart(pts: list[int], distance: Fraction) -> list[int]:
    kept = pts[:1]
    for tick in pts[1:]:
        if tick - kept[-1] >= distance:
            kept.append(tick)
    return kept


def _decode(tally: Tally) -> Trial:
    """Decodes the kept packets until there are enough pictures. One thread: the first picture is what counts."""
    stream = tally.stream
    assert isinstance(stream, AvVideoStream)
    context = stream.codec_context
    context.thread_count = 1
    pictures: list[VideoFrame] = []
    complaint = "the decoder gave no picture"
    for packet in [*cast("list[Packet[AvVideoStream]]", tally.sample), None]:
        try:
            decoded = context.decode(packet)
        except (av.FFmpegError, EOFError) as error:
            complaint = getattr(error, "strerror", None) or str(error)
            continue
        pictures.extend(decoded)
        if len(pictures) >= _TRIAL_PICTURES:
            break
    return Trial(tuple(pictures), complaint)


def _no_pictures(tally: Tally, codec: str) -> str:
    if tally.untimed:
        return f"The {tally.untimed} pictures of the {codec} video have no timestamps."
    return f"The file describes a {codec} video, but holds not one of its pictures: it was cut off, or never filled."


def _hints(stream: AvVideoStream) -> list[Fraction]:
    return [Fraction(rate) for rate in (stream.average_rate, stream.guessed_rate) if rate]


def _duration(pts: list[int], tally: Tally, *, rate: rates.Rate, time_base: Fraction) -> Fraction:
    """To the end of the last picture, in seconds."""
    last = tally.last_ticks * time_base
    # Of slow pictures the last one may be shown shorter than the others: then the container's word counts.
    if not rate.variable and not (rate.mean < 1 and 0 < last < 1 / rate.mean):
        return len(pts) / rate.mean
    usual = 1 / rate.usual
    # A last packet that claims to last for minutes is a writer's mistake; one that claims nothing is common.
    last = last if 0 < last <= max(Fraction(10), 10 * usual) else usual
    return (pts[-1] - pts[0]) * time_base + last


def _sar(stream: AvVideoStream) -> Fraction:
    sar = Fraction(stream.sample_aspect_ratio or 1)
    # Beyond this it is a broken header, not a format: no anamorphic system stretches more than fourfold.
    return sar if Fraction(1, 4) <= sar <= 4 else Fraction(1)


def _orientation(picture: VideoFrame) -> tuple[int, bool]:
    """(clockwise degrees to upright, mirrored) from the display matrix (ISO/IEC 14496-12 §6.2.2)."""
    matrix = next(_matrices(picture), None)
    if matrix is None:
        return 0, False
    a, b, c, d = matrix[0], matrix[1], matrix[3], matrix[4]
    mirrored = a * d - b * c < 0
    degrees = math.degrees(math.atan2(b, a)) % 360
    quarter = round(degrees / 90) * 90
    # ffmpeg turns by quarters exactly and by anything else inside the same frame: then the size stays.
    return (quarter % 360 if abs(degrees - quarter) < 1 else 0), mirrored


def _matrices(picture: VideoFrame) -> Iterator[tuple[int, ...]]:
    # The container iterates its entries, though it calls itself a mapping.
    for side in cast("Iterable[SideData]", picture.side_data):
        if side.type is Type.DISPLAYMATRIX and side.buffer_size >= struct.calcsize(_MATRIX):
            yield struct.unpack_from(_MATRIX, bytes(side))


def _has_alpha(stream: AvVideoStream, picture: VideoFrame, decoder: str) -> bool:
    # ffmpeg's own VP8 and VP9 decoders drop the alpha plane, which travels beside the picture.
    by_tag = decoder.startswith("vp") and stream.metadata.get("alpha_mode") == "1"
    return by_tag or any(component.is_alpha for component in picture.format.components)
