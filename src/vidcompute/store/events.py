"""A job's log: numbered from 1 without gaps, because the number is taken under the job's row lock."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import DictRow

from vidcompute.domain.job import JobStatus
from vidcompute.store.db import Connection, jsonb

#: Where the database says that something about a job changed; the payload is the job's id (UUID).
CHANNEL = "job_events"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a job. `kind` is state, log or end."""

    seq: int
    at: datetime
    kind: str
    data: dict[str, Any]


async def append(
    connection: Connection, job: uuid.UUID, tenant_id: str, *events: tuple[str, dict[str, Any]], at: datetime
) -> None:
    """Write `events` (kind, data) in this order, and wake whoever follows the job when the transaction commits.

    The row lock that this takes is held until then: that is what keeps the numbers gap-free and in commit order.
    """
    await connection.execute(
        "WITH job AS (UPDATE jobs SET last_seq = last_seq + %(count)s WHERE id = %(job)s RETURNING last_seq)"
        " INSERT INTO events (tenant_id, job_id, seq, at, kind, data)"
        " SELECT %(tenant)s, %(job)s, job.last_seq - %(count)s + e.ord, %(at)s, e.kind, e.data"
        " FROM job, unnest(%(kinds)s::text[], %(data)s::jsonb[]) WITH ORDINALITY AS e (kind, data, ord)",
        {
            "count": len(events),
            "job": job,
            "tenant": tenant_id,
            "at": at,
            "kinds": [kind for kind, _ in events],
            "data": [jsonb(data) for _, data in events],
        },
    )
    await notify(connection, job)


async def notify(connection: Connection, job: uuid.UUID) -> None:
    """Wake whoever follows the job, when the transaction commits."""
    await connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, str(job)))


async def append_state(connection: Connection, row: DictRow, *, at: datetime) -> None:
    """Write the job's state as `row` (after the change) has it, and its end if that is what it is."""
    state = {
        "status": row["status"],
        "phase": row["phase"],
        "attempt": row["attempt"],
        "failures": row["failures"],
        "max_attempts": row["max_attempts"],
        "dead_letter": row["dead_letter"],
        "error": row["error"],
        "next_attempt_at": _iso(row["next_attempt_at"]),
        "cancel_requested": row["cancel_requested_at"] is not None,
        "parts": {name: part.get("status") for name, part in row["parts"].items() if isinstance(part, dict)},
    }
    events = [("state", state)]
    if JobStatus(row["status"]).terminal:
        events.append(("end", {"status": row["status"], "error": row["error"]}))
    await append(connection, row["id"], row["tenant_id"], *events, at=at)


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat().replace("+00:00", "Z")
