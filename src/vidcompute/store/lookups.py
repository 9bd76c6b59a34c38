"""Reading jobs. Every method that serves a caller takes the tenant; another tenant's job does not exist for it."""

from __future__ import annotations

import builtins
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any

from psycopg import sql

from vidcompute.domain.job import Job, JobStatus, Priority
from vidcompute.errors import NotFound
from vidcompute.store.db import Database, clean_text, jsonb
from vidcompute.store.events import Event
from vidcompute.store.page import Page, decode_cursor, encode_cursor, foreign_cursor, job_text, job_uuid
from vidcompute.store.records import (
    JOB_COLUMNS,
    LISTED_COLUMNS,
    Attempt,
    JobFilter,
    JobSort,
    Unfinished,
    job_of,
)

#: Column and direction of each order. Names are compared by code point.
_ORDERS = {
    JobSort.NEWEST: ("created_at", "DESC"),
    JobSort.OLDEST: ("created_at", "ASC"),
    JobSort.NAME: ("name", "ASC"),
    JobSort.NAME_DOWN: ("name", "DESC"),
}


class JobLookups:
    """What can be asked about jobs."""

    def __init__(self, database: Database, *, clock: Callable[[], datetime]) -> None:
        """`clock` gives aware UTC."""
        self._db = database
        self._now = clock

    async def get(self, tenant_id: str, job_id: str) -> Job:
        """One job. Raises NotFound."""
        async with self._db.transaction() as connection:
            cursor = await connection.execute(
                sql.SQL("SELECT {} FROM jobs WHERE id = %s AND tenant_id = %s").format(JOB_COLUMNS),
                (job_uuid(job_id), tenant_id),
            )
            row = await cursor.fetchone()
        if row is None:
            raise NotFound(f"there is no job {job_id!r}")
        return job_of(row)

    async def list(
        self,
        tenant_id: str,
        wanted: JobFilter | None = None,
        *,
        sort: str = JobSort.NEWEST,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Job]:
        """A page of jobs, without their plans. Raises InvalidInput for a cursor that is not ours."""
        column, direction = _ORDERS[JobSort(sort)]
        where, values = _conditions(tenant_id, wanted or JobFilter())
        if cursor is not None:
            key, last_id = decode_cursor(cursor, str, str)
            operator = "<" if direction == "DESC" else ">"
            where.append(sql.SQL("({}, id) {} (%(key)s, %(last)s)").format(sql.Identifier(column), sql.SQL(operator)))
            values |= _resume(column, key, last_id)
        statement = sql.SQL("SELECT {} FROM jobs WHERE {} ORDER BY {} {}, id {} LIMIT %(limit)s").format(
            LISTED_COLUMNS,
            sql.SQL(" AND ").join(where),
            sql.Identifier(column),
            sql.SQL(direction),
            sql.SQL(direction),
        )
        async with self._db.transaction() as connection:
            rows = await (await connection.execute(statement, values | {"limit": limit + 1})).fetchall()
        jobs = [job_of(row) for row in rows[:limit]]
        if len(rows) <= limit:
            return Page(jobs, None)
        key = rows[limit - 1][column]
        shown = key.isoformat() if isinstance(key, datetime) else key
        return Page(jobs, encode_cursor(shown, jobs[-1].id))

    async def counts(self, tenant_id: str) -> dict[JobStatus, int]:
        """Jobs in each status, from counters: the cost does not depend on how many there are."""
        async with self._db.transaction() as connection:
            cursor = await connection.execute(
                "SELECT status, sum(jobs)::bigint AS jobs FROM job_counts WHERE tenant_id = %s GROUP BY status",
                (tenant_id,),
            )
            found = {JobStatus(row["status"]): row["jobs"] for row in await cursor.fetchall()}
        return {status: found.get(status, 0) for status in JobStatus}

    async def attempts(self, tenant_id: str, job_id: str) -> builtins.list[Attempt]:
        """Every start of a job, in order. Raises NotFound."""
        job = await self._existing(tenant_id, job_id)
        async with self._db.transaction() as connection:
            cursor = await connection.execute(
                "SELECT attempt, node, started_at, finished_at, outcome, problem, counted"
                " FROM attempts WHERE job_id = %s ORDER BY attempt",
                (job,),
            )
            return [Attempt(**row) for row in await cursor.fetchall()]

    async def events(
        self, tenant_id: str, job_id: str, *, after_seq: int = 0, limit: int = 500
    ) -> builtins.list[Event]:
        """A job's log after number `after_seq`, in order. Raises NotFound."""
        job = await self._existing(tenant_id, job_id)
        async with self._db.transaction() as connection:
            cursor = await connection.execute(
                "SELECT seq, at, kind, data FROM events WHERE job_id = %s AND seq > %s ORDER BY seq LIMIT %s",
                (job, after_seq, limit),
            )
            return [Event(**row) for row in await cursor.fetchall()]

    async def tasks(self, job_id: str) -> dict[str, Any]:
        """Results of the tasks that are done, by key."""
        async with self._db.transaction() as connection:
            cursor = await connection.execute("SELECT key, result FROM tasks WHERE job_id = %s", (job_uuid(job_id),))
            return {row["key"]: row["result"] for row in await cursor.fetchall()}

    async def unfinished(self, *, limit: int, after: str | None = None) -> builtins.list[Unfinished]:
        """Jobs that are queued or running, of all tenants, in order of id; go on after the last id of a page."""
        async with self._db.transaction() as connection:
            cursor = await connection.execute(
                "SELECT id, priority, status, attempt, heartbeat_at, next_attempt_at FROM jobs"
                " WHERE status IN ('queued', 'running') AND id > %s ORDER BY id LIMIT %s",
                (job_uuid(after) if after else uuid.UUID(int=0), limit),
            )
            return [_unfinished(row) for row in await cursor.fetchall()]

    async def work_is_shared(self, job_id: str) -> bool:
        """Whether another unfinished job has the same source and plan, hence the same work folder."""
        async with self._db.transaction() as connection:
            cursor = await connection.execute(
                "SELECT EXISTS (SELECT 1 FROM jobs AS other JOIN jobs AS own ON own.id = %(job)s"
                "  WHERE other.status IN ('queued', 'running') AND other.id <> own.id"
                "  AND other.tenant_id = own.tenant_id AND other.source_sha256 = own.source_sha256) AS shared",
                {"job": job_uuid(job_id)},
            )
            row = await cursor.fetchone()
            return bool(row and row["shared"])

    async def strays(self, *, before: datetime, limit: int = 500) -> builtins.list[Unfinished]:
        """Running jobs that nobody gave a sign of life for since `before`."""
        async with self._db.transaction() as connection:
            cursor = await connection.execute(
                "SELECT id, priority, status, attempt, heartbeat_at, next_attempt_at FROM jobs"
                " WHERE status = 'running' AND heartbeat_at < %s ORDER BY id LIMIT %s",
                (before, limit),
            )
            return [_unfinished(row) for row in await cursor.fetchall()]

    async def _existing(self, tenant_id: str, job_id: str) -> uuid.UUID:
        job = job_uuid(job_id)
        async with self._db.transaction() as connection:
            cursor = await connection.execute("SELECT 1 FROM jobs WHERE id = %s AND tenant_id = %s", (job, tenant_id))
            if await cursor.fetchone() is None:
                raise NotFound(f"there is no job {job_id!r}")
        return job


def _conditions(tenant_id: str, wanted: JobFilter) -> tuple[builtins.list[sql.Composable], dict[str, Any]]:
    where: builtins.list[sql.Composable] = [sql.SQL("tenant_id = %(tenant)s")]
    values: dict[str, Any] = {"tenant": tenant_id}
    optional: builtins.list[tuple[str, str, Any]] = [
        ("status", "status = ANY (%(status)s)", [status.value for status in wanted.status] or None),
        ("tags", "tags @> %(tags)s", jsonb(wanted.tags) if wanted.tags else None),
        ("dead", "dead_letter = %(dead)s", wanted.dead_letter),
        ("priority", "priority = %(priority)s", wanted.priority.value if wanted.priority else None),
        ("since", "created_at > %(since)s", wanted.created_after),
        ("until", "created_at < %(until)s", wanted.created_before),
        (
            "q",
            "(strpos(lower(name), %(q)s) > 0 OR strpos('job_' || replace(id::text, '-', ''), %(q)s) = 1)",
            clean_text(wanted.q).lower() if wanted.q else None,
        ),
    ]
    for name, condition, value in optional:
        if value is not None:
            where.append(sql.SQL(condition))
            values[name] = value
    return where, values


def _resume(column: str, key: str, last_id: str) -> dict[str, Any]:
    try:
        return {"key": datetime.fromisoformat(key) if column == "created_at" else key, "last": job_uuid(last_id)}
    except (ValueError, NotFound) as error:
        raise foreign_cursor() from error


def _unfinished(row: dict[str, Any]) -> Unfinished:
    return Unfinished(
        **{
            **{name: value for name, value in row.items() if name != "id"},
            "job_id": job_text(row["id"]),
            "priority": Priority(row["priority"]),
            "status": JobStatus(row["status"]),
        }
    )
