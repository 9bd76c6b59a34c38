"""What callers get: jobs and all that hangs on them, as wire models made from domain nouns."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from vidcompute.api.schemas import spec_out
from vidcompute.domain.job import Job, JobStatus, Packaging, PartStatus, Phase, Priority

API = "/api/v1"


class Out(BaseModel):
    """Base of response models. What a later version stores in addition passes through."""

    model_config = ConfigDict(extra="allow")


class ProgressOut(Out):
    """How far the running phase is."""

    percent: float = 0.0
    frame: int | None = None
    frames: int | None = None
    fps: float | None = Field(None, description="Encoded frames per second.")
    speed: float | None = Field(None, description="Seconds of video per second.")
    eta_s: float | None = Field(None, description="null while it is still being estimated.")


class SourceOut(Out):
    """What the probe measured."""

    container: str | None = None
    video_codec: str | None = None
    width: int | None = None
    height: int | None = None
    fps: str | None = Field(None, description="Exact: a fraction such as 30000/1001.", examples=["30/1"])
    frames: int | None = None
    duration_ms: int | None = None
    rotation: int | None = None
    hdr: bool | None = None
    interlaced: bool | None = None
    audio: list[dict[str, Any]] = []
    subtitles: list[dict[str, Any]] = []


class HlsPartOut(Out):
    """The streaming half."""

    status: PartStatus
    playable: bool = False
    url: str | None = None
    dash_url: str | None = None


class ContextPartOut(Out):
    """The frame-description half."""

    status: PartStatus
    frames: int | None = None
    descriptions: int | None = None
    provider: str | None = None
    tokens: int | None = None
    cost_usd: float | None = None


class PartsOut(Out):
    """A job's two halves: one may fail without the other."""

    hls: HlsPartOut
    context: ContextPartOut


class RenditionOut(Out):
    """One published rung."""

    name: str
    width: int | None = None
    height: int | None = None
    codec: str | None = None
    bitrate: int | None = None
    bytes: int | None = None
    vmaf: float | None = None


class JobErrorOut(Out):
    """Why a job failed."""

    code: str
    title: str = ""
    detail: str = ""
    hint: str = ""
    retryable: bool = False


class JobOut(Out):
    """A job. `attempt` counts starts, `failures` those that limit `max_attempts`."""

    id: str = Field(examples=["job_0199f3a1c2d47b6e8a5f0c1d2e3f4a5b"])
    name: str
    status: JobStatus
    phase: Phase | None
    progress: ProgressOut
    priority: Priority
    attempt: int
    failures: int
    max_attempts: int
    next_attempt_at: datetime | None
    dead_letter: bool
    queue_position: int | None = Field(description="Jobs ahead in the queue; null unless ready to start.")
    cancel_requested: bool = Field(description="A running job was asked to end and has not yet.")
    source: SourceOut | None
    parts: PartsOut
    renditions: list[RenditionOut]
    error: JobErrorOut | None
    warnings: list[dict[str, Any] | str]
    tags: dict[str, str]
    spec: dict[str, Any]
    poster_url: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class JobPage(Out):
    """Jobs, newest first unless sorted otherwise."""

    jobs: list[JobOut]
    next_cursor: str | None


class JobCounts(Out):
    """Jobs by status."""

    queued: int = 0
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    canceled: int = 0
    total: int = 0


class AttemptOut(Out):
    """One start of a job, and how it ended."""

    attempt: int
    node: str | None
    started_at: datetime
    finished_at: datetime | None
    outcome: str | None
    counted: bool | None = Field(description="Whether it counts against max_attempts.")
    problem: dict[str, Any] | None = Field(description="The cause, with its evidence: command, exit code, last lines.")


class AttemptList(Out):
    """Attempts in order."""

    attempts: list[AttemptOut]


class DownloadOut(Out):
    """One file of the result."""

    name: str
    bytes: int
    content_type: str
    url: str = Field(description="Valid without credentials until expires_at.")


class DownloadList(Out):
    """The files of a published result."""

    files: list[DownloadOut]
    total_bytes: int
    expires_at: datetime


def job_path(job_id: str) -> str:
    """Path of a job."""
    return f"{API}/jobs/{job_id}"


def job_out(job: Job, *, queue_position: int | None = None) -> JobOut:
    """`job` in the contract's words."""
    return JobOut(
        id=job.id,
        name=job.name,
        status=job.status,
        phase=job.phase,
        # A finished job is whole, however its last progress report was rounded.
        progress=ProgressOut(**{**job.progress, **({"percent": 100.0} if job.status is JobStatus.SUCCEEDED else {})}),
        priority=job.priority,
        attempt=job.attempt,
        failures=job.failures,
        max_attempts=job.max_attempts,
        next_attempt_at=job.next_attempt_at,
        dead_letter=job.dead_letter,
        queue_position=queue_position,
        cancel_requested=job.cancel_requested_at is not None and not job.status.terminal,
        source=SourceOut(**job.source) if job.source else None,
        parts=_parts(job),
        renditions=[RenditionOut(**item) for item in job.renditions],
        error=JobErrorOut(**{k: v for k, v in job.error.items() if k != "evidence"}) if job.error else None,
        warnings=list(job.warnings),
        tags=job.tags,
        spec=spec_out(job.spec),
        # Pictures are kept of described frames only.
        poster_url=f"{job_path(job.id)}/hls/poster.jpg" if job.published and job.spec.enable_llm else None,
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
    )


def _parts(job: Job) -> PartsOut:
    hls, context = dict(job.parts.get("hls") or {}), dict(job.parts.get("context") or {})
    base = f"{job_path(job.id)}/hls"
    urls: dict[str, Any] = {"playable": bool(job.published)}
    if job.published:
        asked = set(job.spec.packaging)
        urls["url"] = f"{base}/master.m3u8" if Packaging.HLS in asked else None
        urls["dash_url"] = f"{base}/manifest.mpd" if Packaging.DASH in asked else None
    missing = PartStatus.PENDING if job.spec.enable_llm else PartStatus.SKIPPED
    return PartsOut(
        hls=HlsPartOut(**{**hls, **urls, "status": _part_status(job, hls, PartStatus.PENDING)}),
        context=ContextPartOut(**{**context, "status": _part_status(job, context, missing)}),
    )


def _part_status(job: Job, part: dict[str, Any], missing: PartStatus) -> PartStatus:
    """What is stored; but nothing is still running in a job that is over."""
    status = PartStatus(part.get("status", missing))
    if status in {PartStatus.PENDING, PartStatus.RUNNING} and job.status.terminal:
        return PartStatus.CANCELED if job.status is JobStatus.CANCELED else PartStatus.FAILED
    return status
