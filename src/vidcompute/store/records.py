"""Rows as nouns: what the job statements return."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from psycopg import sql
from psycopg.rows import DictRow

from vidcompute import wire
from vidcompute.domain.job import Job, JobSpec, JobStatus, Phase, Priority
from vidcompute.store.page import job_text

#: Columns of a whole job, in no particular order.
JOB_COLUMNS = sql.SQL(
    "id, tenant_id, name, spec, status, phase, priority, attempt, failures, max_attempts, dead_letter, progress,"
    " source, parts, renditions, error, warnings, tags, plan, plan_hash, published, source_key, source_sha256,"
    " created_at, started_at, finished_at, next_attempt_at, heartbeat_at, cancel_requested_at, revision"
)

#: The same without the plan, which is large and which no list shows.
LISTED_COLUMNS = sql.SQL(JOB_COLUMNS.as_string().replace(" plan,", " NULL::jsonb AS plan,"))


class Created(NamedTuple):
    """A submission's job; `repeated` when the same key and body had made it before."""

    job: Job
    repeated: bool


class Heartbeat(StrEnum):
    """What a coordinator hears of an attempt it works on."""

    OK = "ok"
    CANCELED = "canceled"
    LOST = "lost"


class JobSort(StrEnum):
    """Order of a list of jobs; a minus sign means latest first."""

    NEWEST = "-created_at"
    OLDEST = "created_at"
    NAME = "name"
    NAME_DOWN = "-name"


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs a list shows. Empty fields do not filter; `q` is looked for in names and ids, ignoring case."""

    status: frozenset[JobStatus] = frozenset()
    tags: dict[str, str] = field(default_factory=dict)
    q: str | None = None
    dead_letter: bool | None = None
    priority: Priority | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One start of a job. `outcome` is succeeded, failed, canceled, released or lost; None while it runs."""

    attempt: int
    node: str | None
    started_at: datetime
    finished_at: datetime | None
    outcome: str | None
    #: errors.Problem as JSON, evidence included.
    problem: dict[str, Any] | None
    counted: bool | None


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A job that somebody must still look at."""

    job_id: str
    priority: Priority
    status: JobStatus
    attempt: int
    heartbeat_at: datetime | None
    next_attempt_at: datetime | None


@dataclass(frozen=True, slots=True)
class Leftovers:
    """What a deleted job leaves in the blob store and nobody else uses."""

    prefixes: tuple[str, ...]
    keys: tuple[str, ...]


def job_of(row: DictRow) -> Job:
    """A row with JOB_COLUMNS as a Job."""
    return Job(
        **{
            **row,
            "id": job_text(row["id"]),
            "spec": wire.parse(JobSpec, row["spec"]),
            "status": JobStatus(row["status"]),
            "phase": Phase(row["phase"]) if row["phase"] else None,
            "priority": Priority(row["priority"]),
        }
    )


def initial_parts(spec: JobSpec) -> dict[str, Any]:
    """The two halves of a job before anything happened."""
    return {
        "hls": {"status": "pending" if spec.packaging else "skipped", "playable": False},
        "context": {"status": "pending" if spec.enable_llm else "skipped"},
    }


def settled_parts(parts: dict[str, Any], ended: JobStatus) -> dict[str, Any]:
    """`parts` of a job that ended so: nothing in it is pending or running any more."""
    return _moved(parts, {"pending", "running"}, ended.value)


def reopened_parts(parts: dict[str, Any]) -> dict[str, Any]:
    """`parts` of a job that is tried again: what did not work out is pending."""
    return _moved(parts, {"failed", "canceled", "degraded", "running"}, "pending")


def _moved(parts: dict[str, Any], states: set[str], to: str) -> dict[str, Any]:
    return {
        name: {**part, "status": to} if isinstance(part, dict) and part.get("status") in states else part
        for name, part in parts.items()
    }
