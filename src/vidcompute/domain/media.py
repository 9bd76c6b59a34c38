"""What a probe measures of a source. Time is rational until the screen."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction


class Transfer(StrEnum):
    """Transfer characteristics that decide whether tone mapping is needed (ITU-T H.273)."""

    SDR = "sdr"
    PQ = "pq"
    HLG = "hlg"


class Scan(StrEnum):
    """Field order of the pictures."""

    PROGRESSIVE = "progressive"
    INTERLACED = "interlaced"


@dataclass(frozen=True, slots=True)
class VideoStream:
    """The chosen video stream. Sizes are coded pixels before rotation; `rotation` is clockwise degrees to display."""

    index: int
    codec: str
    width_px: int
    height_px: int
    pixel_format: str
    bit_depth: int
    #: Sample aspect ratio, 1 for square pixels.
    sar: Fraction
    #: 0, 90, 180 or 270: rotate the decoded picture by this much, clockwise, to show it upright.
    rotation: int
    mirrored: bool
    scan: Scan
    transfer: Transfer
    full_range: bool
    color_primaries: str
    color_matrix: str
    time_base: Fraction
    #: Presentation time of the first picture on the container's clock, in seconds (after the edit list).
    start: Fraction
    #: From the first picture that is shown to the end of the last, in seconds.
    duration: Fraction
    #: Exact mean rate, snapped to a broadcast rate (30000/1001 …) where the timestamps agree.
    frame_rate: Fraction
    #: Whether the pictures stray from a constant rate by more than the rounding of their timestamps.
    variable_rate: bool
    #: Packets that carry a picture which will be shown.
    frames: int
    bitrate_bps: int
    has_alpha: bool = False
    #: `start` as an integer in `time_base`.
    start_pts: int = 0
    #: Rate of the usual distance between neighbours: what a variable-rate source aims at. 0 means as `frame_rate`.
    usual_rate: Fraction = Fraction(0)
    #: ITU-T H.273 name of the transfer, as the decoder says it ("unknown" if it does not).
    color_transfer: str = "unknown"
    #: The time stamps count pictures in decoding order, though they are shown in another: picture n is shown at
    #: start + n / frame_rate.
    counted: bool = False
    #: Packets whose time stamps lie far outside `start` … `start + duration`: damage, to be left out.
    strays: int = 0

    @property
    def display_width_px(self) -> int:
        """Width as shown: upright and with square pixels, whole pixels."""
        return self._display()[0]

    @property
    def display_height_px(self) -> int:
        """Height as shown: upright and with square pixels, whole pixels."""
        return self._display()[1]

    def _display(self) -> tuple[int, int]:
        # Stretch the squeezed side rather than shrink the other: shrinking would throw lines away.
        width = max(1, round(self.width_px * max(self.sar, Fraction(1))))
        height = max(1, round(self.height_px / min(self.sar, Fraction(1))))
        return (height, width) if self.rotation in {90, 270} else (width, height)


@dataclass(frozen=True, slots=True)
class AudioStream:
    """One audio stream. `language` is BCP 47 or ISO 639-2 as stored, "und" if unknown."""

    index: int
    codec: str
    channels: int
    sample_rate_hz: int
    language: str
    title: str
    default: bool
    start: Fraction
    duration: Fraction
    strays: int = 0


@dataclass(frozen=True, slots=True)
class SubtitleStream:
    """One subtitle stream; only text subtitles can become WebVTT."""

    index: int
    codec: str
    language: str
    title: str
    text: bool


@dataclass(frozen=True, slots=True)
class Probe:
    """A measured source. `container` is the demuxer's short name (`mov`, `matroska`, `mpegts`, …)."""

    container: str
    size_bytes: int
    duration: Fraction
    video: VideoStream
    audio: tuple[AudioStream, ...]
    subtitles: tuple[SubtitleStream, ...]
    #: Sentences for people: odd things that do not stop the job.
    warnings: tuple[str, ...] = ()
    #: How often the container's clock jumps (joined recordings). All times here are as if it never had.
    clock_jumps: int = 0
