"""The plan of a job: decided once from probe and spec, stored, immutable, hashed.

Every task is a pure function of (source bytes, plan, task key, ffmpeg build), so its outputs are
content keys and a retry adopts what already exists. The grids depend on the source only.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from vidcompute.domain.job import Codec, Detail, FrameMode, Ocr, Preset


@dataclass(frozen=True, slots=True)
class RenditionPlan:
    """One video rung. `name` is `v0` (best) downwards and is used in file names and URLs."""

    name: str
    width_px: int
    height_px: int
    codec: Codec
    preset: Preset
    #: Constant-quality target of the encoder.
    crf: int
    #: Ceiling of the rate control (VBV), also the basis of the declared peak.
    max_bitrate_bps: int
    #: Set when the caller asked for a bit rate: average-bitrate mode instead of CRF.
    target_bitrate_bps: int | None = None


@dataclass(frozen=True, slots=True)
class AudioPlan:
    """One audio rendition, `a0` onwards."""

    name: str
    stream_index: int
    codec: str
    bitrate_bps: int
    channels: int
    sample_rate_hz: int
    language: str
    title: str
    default: bool
    #: Source presentation time of its first sample, in seconds.
    start: Fraction = Fraction(0)


@dataclass(frozen=True, slots=True)
class ChunkPlan:
    """Output frames [start_frame, end_frame) made by one encoder process; end None means to the end."""

    index: int
    start_frame: int
    end_frame: int | None


@dataclass(frozen=True, slots=True)
class ColorPlan:
    """How decoded samples are to be understood (ITU-T H.273 names as ffmpeg spells them), guesses filled in.

    Sources lie or say nothing; every decision about colour is made here once, and both the encoder's tags and
    the conversions follow it.
    """

    matrix: str = "bt709"
    primaries: str = "bt709"
    transfer: str = "bt709"
    full_range: bool = False
    #: The source has RGB samples (GIF, PNG in MOV): they become BT.709.
    rgb: bool = False


@dataclass(frozen=True, slots=True)
class PicturePlan:
    """What is done to decoded pictures before scaling."""

    deinterlace: bool
    tone_map: bool
    #: Constant output rate; `source_is_cfr` says whether output picture n is source picture n.
    frame_rate: Fraction
    source_is_cfr: bool
    color: ColorPlan = ColorPlan()
    #: Coded size after rotation, before pixels are made square.
    upright_width_px: int = 0
    upright_height_px: int = 0


@dataclass(frozen=True, slots=True)
class AnalysisPlan:
    """The small pictures that the same decode feeds to selection, and how anchors are chosen."""

    width_px: int
    height_px: int
    mode: FrameMode
    #: Anchors per second at most (mode auto), or the fixed rate (mode fps).
    max_anchors_per_s: float
    ocr: Ocr
    detail: Detail
    prompt: str | None
    #: The source stream's time base, and what was added to every pts on the pipe because NUT holds none below zero.
    time_base: Fraction = Fraction(1, 90000)
    pts_shift: int = 0
    #: Colour matrix of the pictures on the pipe (ITU-T H.273, as ffmpeg spells it): NUT cannot say it.
    matrix: str = "bt709"

    def source_pts(self, pts: int, time_base: Fraction) -> int:
        """The source's own pts of a picture that came down the pipe with `pts` in the pipe's `time_base`.

        NUT refines the time base (by powers of two), so the division is exact.
        """
        return round(pts * time_base / self.time_base) - self.pts_shift


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything the tasks of a job need to know, and nothing of where they run."""

    version: int
    video_stream_index: int
    #: Source presentation time (container clock, seconds) that becomes zero in every output.
    origin: Fraction
    #: Published duration in seconds: what the verifier expects, within its tolerance.
    duration: Fraction
    #: Expected source pictures (from packets) and expected output pictures.
    source_frames: int
    output_frames: int
    picture: PicturePlan
    #: Keyframe distance and segment length in output frames; gop divides segment.
    gop_frames: int
    segment_frames: int
    renditions: tuple[RenditionPlan, ...]
    audio: tuple[AudioPlan, ...]
    chunks: tuple[ChunkPlan, ...]
    analysis: AnalysisPlan | None
    #: Sentences for people, carried to the job's warnings.
    warnings: tuple[str, ...] = ()
    #: The video stream's time base; `origin_pts` is `origin` in it, to the nearest tick.
    time_base: Fraction = Fraction(1, 90000)
    origin_pts: int = 0
    #: Output pictures that repeat the first one because sound begins before the picture does,
    #: and that repeat the last one because sound goes on after it.
    lead_frames: int = 0
    tail_frames: int = 0
    #: The container's short name: chunks of an MPEG-TS need another way to seek.
    container: str = ""
    #: The source's clock jumps (joined recordings): its parts are put end to end.
    joined: bool = False
    #: Not 0 where the source's stamps count pictures in decoding order: they are then timed by counting them as they
    #: are shown, at this rate. That takes a decode from the beginning, so such a source is one chunk.
    counted_rate: Fraction = Fraction(0)
    #: Some packets are stamped far outside the rest of the source: what is not near `origin` … the end is left out.
    strays: bool = False
