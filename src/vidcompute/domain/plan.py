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


@dataclass(frozen=True, slots=True)
class ChunkPlan:
    """Output frames [start_frame, end_frame) made by one encoder process; end None means to the end."""

    index: int
    start_frame: int
    end_frame: int | None


@dataclass(frozen=True, slots=True)
class PicturePlan:
    """What is done to decoded pictures before scaling."""

    deinterlace: bool
    tone_map: bool
    #: Constant output rate; `source_is_cfr` says whether output picture n is source picture n.
    frame_rate: Fraction
    source_is_cfr: bool


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
