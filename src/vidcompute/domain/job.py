"""What a caller asks for, and what becomes of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class JobStatus(StrEnum):
    """Life of a job. A retry wait is `queued` with `next_attempt_at`; exhausted is `failed` with `dead_letter`."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def terminal(self) -> bool:
        """Whether nothing more happens by itself."""
        return self in {JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELED}


class Phase(StrEnum):
    """What a running job is doing now."""

    DOWNLOADING = "downloading"
    PROBING = "probing"
    TRANSCODING = "transcoding"
    DESCRIBING = "describing"
    PACKAGING = "packaging"
    VERIFYING = "verifying"
    UPLOADING = "uploading"


class PartStatus(StrEnum):
    """State of one half of a job: the streams, or the frame context."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    DEGRADED = "degraded"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELED = "canceled"


class Priority(StrEnum):
    """Queue classes; a lower class is overtaken for a bounded time only (see queue.base)."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


class Codec(StrEnum):
    """Video codecs that can be asked for."""

    H264 = "h264"
    HEVC = "hevc"
    AV1 = "av1"
    VP9 = "vp9"


class Preset(StrEnum):
    """How much CPU an encode may cost."""

    FAST = "fast"
    BALANCED = "balanced"
    QUALITY = "quality"


class Packaging(StrEnum):
    """What is published."""

    HLS = "hls"
    DASH = "dash"
    MP4 = "mp4"


class FrameMode(StrEnum):
    """Which frames get a description of their own; rows exist for every frame in all of them."""

    AUTO = "auto"
    SCENE = "scene"
    FPS = "fps"
    EVERY = "every"


class Ocr(StrEnum):
    """Whether on-screen text is read: `auto` asks a cheap text-likelihood gate first."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"


class Detail(StrEnum):
    """Size of the picture that the model sees."""

    LOW = "low"
    HIGH = "high"


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """One rung that was asked for. `height_px` counts the short side; None fields take the job's own."""

    height_px: int
    codec: Codec | None = None
    bitrate_bps: int | None = None


@dataclass(frozen=True, slots=True)
class FramesSpec:
    """How frames are chosen and described. `fps` counts only in mode `fps`."""

    mode: FrameMode = FrameMode.AUTO
    fps: float | None = None
    budget_usd: float | None = None
    detail: Detail = Detail.LOW
    ocr: Ocr = Ocr.AUTO
    prompt: str | None = None


@dataclass(frozen=True, slots=True)
class JobSpec:
    """What the caller asked for: immutable. `input` is a URL (`https`, `gs`, `s3`, `file`) or `upload:<id>`."""

    input: str
    name: str | None = None
    priority: Priority = Priority.NORMAL
    tags: dict[str, str] = field(default_factory=dict)
    outputs: tuple[OutputSpec, ...] = ()
    codec: Codec = Codec.H264
    bitrate_bps: int | None = None
    preset: Preset = Preset.BALANCED
    packaging: tuple[Packaging, ...] = (Packaging.HLS, Packaging.DASH)
    quality_vmaf: float | None = None
    enable_llm: bool = True
    frames: FramesSpec = FramesSpec()
    max_attempts: int = 4
    deadline_s: float | None = None
    webhook_url: str | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """A job as Postgres knows it. Times are aware UTC."""

    id: str
    tenant_id: str
    name: str
    spec: JobSpec
    status: JobStatus
    phase: Phase | None
    priority: Priority
    #: Counts starts; issued by Postgres; the fence of every write.
    attempt: int
    #: Counts only the failures that `max_attempts` limits: pre-emption and node loss do not.
    failures: int
    max_attempts: int
    dead_letter: bool
    #: The last progress report (contract: percent, frame, frames, fps, speed, eta_s).
    progress: dict[str, Any]
    #: The probe's summary for people (contract: `source`), None before probing.
    source: dict[str, Any] | None
    #: The contract's `parts`, `renditions` as stored; the api adds URLs.
    parts: dict[str, Any]
    renditions: list[dict[str, Any]]
    error: dict[str, Any] | None
    warnings: list[dict[str, Any]]
    tags: dict[str, str]
    #: The stored plan (domain.plan.Plan as JSON) and its hash, None before planning.
    plan: dict[str, Any] | None
    plan_hash: str | None
    #: Blob prefix of the published result, None before publishing. Readers follow this pointer only.
    published: str | None
    #: Blob key of the original, None before the first fetch.
    source_key: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    next_attempt_at: datetime | None
    heartbeat_at: datetime | None
    cancel_requested_at: datetime | None
    #: Bumped on every change of the row; the api's ETag.
    revision: int
    #: SHA-256 (hex) of the original, None before the first fetch.
    source_sha256: str | None = None
