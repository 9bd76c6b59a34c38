"""What was published, measured on what was written: the side-car `manifest.json`, and the source of both playlists."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from vidcompute import wire
from vidcompute.domain.media import Transfer

VERSION = 1
MASTER_URI = "master.m3u8"
MPD_URI = "manifest.mpd"
MANIFEST_URI = "manifest.json"


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """A file of the result. `uri` is its name beside the playlists, `sha256` hexadecimal."""

    uri: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Segment(PublishedFile):
    """A media segment. `start` and `duration` are presentation ticks of its stream, after the edit list."""

    start: int
    duration: int
    samples: int


@dataclass(frozen=True, slots=True)
class Stream:
    """One rendition on its own: an initialization segment and media segments in order."""

    name: str
    #: RFC 6381, e.g. `avc1.64001f`.
    codec: str
    #: Ticks per second.
    timescale: int
    #: Seconds from the first segment's start to the last one's end.
    duration: Fraction
    #: Media segments only.
    size_bytes: int
    #: Mean and peak over the media segments (see peak_bps).
    bitrate_bps: int
    peak_bitrate_bps: int
    playlist_uri: str
    #: The initialization segment (ftyp and moov).
    init: PublishedFile
    segments: tuple[Segment, ...]

    def seconds(self, ticks: int) -> Fraction:
        """`ticks` of this stream in seconds."""
        return Fraction(ticks, self.timescale)


@dataclass(frozen=True, slots=True)
class Rendition(Stream):
    """A video rung."""

    width_px: int
    height_px: int
    frame_rate: Fraction
    frames: int
    transfer: Transfer


@dataclass(frozen=True, slots=True)
class AudioRendition(Stream):
    """A sound track. `language` is BCP 47, `label` unique and safe to quote."""

    language: str
    label: str
    default: bool
    channels: int
    sample_rate_hz: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """The published result. Times are exact rational seconds; `duration` is that of the picture."""

    version: int
    duration: Fraction
    frames: int
    frame_rate: Fraction
    segment_frames: int
    target_duration_s: int
    master_uri: str
    mpd_uri: str
    renditions: tuple[Rendition, ...]
    audio: tuple[AudioRendition, ...]

    @property
    def streams(self) -> tuple[Stream, ...]:
        """Picture first, then sound."""
        return (*self.renditions, *self.audio)

    @property
    def size_bytes(self) -> int:
        """Bytes of all media and initialization segments."""
        return sum(stream.size_bytes + stream.init.size_bytes for stream in self.streams)


def to_json(manifest: Manifest) -> bytes:
    """`manifest` as it is stored: fractions as "30000/1001", indented for people and diffs."""
    return json.dumps(wire.plain(manifest), indent=1).encode() + b"\n"


def from_json(data: bytes) -> Manifest:
    """The manifest that to_json wrote. Raises pydantic.ValidationError if it is not one."""
    return wire.loads(Manifest, data)


def target_duration_s(streams: Sequence[tuple[int, Sequence[Segment]]]) -> int:
    """The EXT-X-TARGETDURATION for all streams, given as (timescale, segments), in whole seconds, at least 1.

    Every EXTINF rounded to the nearest second must not exceed it (RFC 8216 §4.3.3.1); Apple asks for the same
    value in all playlists.
    """
    longest = max(Fraction(part.duration, timescale) for timescale, segments in streams for part in segments)
    return max(1, nearest(longest))


def nearest(seconds: Fraction) -> int:
    """`seconds` rounded to the nearest integer, halves up: the reading of "rounded" that is safe everywhere."""
    return math.floor(seconds + Fraction(1, 2))


def average_bps(segments: Sequence[Segment], timescale: int) -> int:
    """Bits per second over all segments, rounded up."""
    seconds = Fraction(sum(part.duration for part in segments), timescale)
    return math.ceil(8 * sum(part.size_bytes for part in segments) / seconds)


def peak_bps(segments: Sequence[Segment], timescale: int, *, target_s: int) -> int:
    """The peak segment bit rate of RFC 8216 §4.1, rounded up, and never below the average.

    That is the largest bit rate of any run of segments that lasts between 0.5 and 1.5 target durations. A short last
    segment so counts together with its neighbour only; where no run qualifies (a short clip), the average is all
    there is.
    """
    shortest, longest = Fraction(target_s, 2) * timescale, Fraction(3 * target_s, 2) * timescale
    peak = Fraction(average_bps(segments, timescale))
    for first in range(len(segments)):
        ticks = size = 0
        for part in segments[first:]:
            ticks += part.duration
            size += part.size_bytes
            if ticks > longest:
                break
            if ticks >= shortest:
                peak = max(peak, Fraction(8 * size * timescale, ticks))
    return math.ceil(peak)
