"""How attempts end. Every method is fenced: it changes nothing unless the attempt is the running one."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from psycopg import sql
from psycopg.rows import DictRow

from vidcompute import wire
from vidcompute.domain.job import JobStatus
from vidcompute.errors import LeaseLost, Problem
from vidcompute.store.db import Connection, jsonb
from vidcompute.store.events import append_state
from vidcompute.store.lookups import JobLookups
from vidcompute.store.page import job_uuid
from vidcompute.store.records import JOB_COLUMNS, settled_parts


class Settlements(JobLookups):
    """The last write of an attempt. All raise LeaseLost if it is not the running one."""

    async def succeed(self, job_id: str, attempt: int) -> None:
        """Everything was done."""
        async with self._db.transaction() as connection:
            row = await held(connection, job_id, attempt)
            await end_job(connection, row, JobStatus.SUCCEEDED, at=self._now())

    async def fail(
        self,
        job_id: str,
        attempt: int,
        problem: Problem,
        *,
        counted: bool,
        retry_at: datetime | None,
        dead: bool,
    ) -> None:
        """Something went wrong: queued again for `retry_at`, or failed for good (None), `dead` if attempts ran out.

        A job that was asked to end is canceled instead: it is not tried again.
        """
        async with self._db.transaction() as connection:
            row = await held(connection, job_id, attempt)
            if row["cancel_requested_at"] is not None:
                await end_job(connection, row, JobStatus.CANCELED, at=self._now())
            elif retry_at is None:
                await end_job(
                    connection, row, JobStatus.FAILED, at=self._now(), problem=problem, counted=counted, dead=dead
                )
            else:
                await _requeue(
                    connection,
                    row,
                    at=self._now(),
                    outcome="failed",
                    problem=problem,
                    counted=counted,
                    retry_at=retry_at,
                )

    async def cancel(self, job_id: str, attempt: int) -> None:
        """It ended because a person asked for it."""
        async with self._db.transaction() as connection:
            row = await held(connection, job_id, attempt)
            await end_job(connection, row, JobStatus.CANCELED, at=self._now())

    async def release(self, job_id: str, attempt: int) -> None:
        """We are stopping: back to the queue, not counted as a failure."""
        async with self._db.transaction() as connection:
            row = await held(connection, job_id, attempt)
            if row["cancel_requested_at"] is not None:
                await end_job(connection, row, JobStatus.CANCELED, at=self._now())
            else:
                await _requeue(connection, row, at=self._now(), outcome="released")


async def held(connection: Connection, job_id: str, attempt: int) -> DictRow:
    """The job's row, locked, if this attempt is the running one. Raises LeaseLost: stop, write nothing."""
    cursor = await connection.execute(
        sql.SQL("SELECT {} FROM jobs WHERE id = %s AND attempt = %s AND status = 'running' FOR UPDATE").format(
            JOB_COLUMNS
        ),
        (job_uuid(job_id), attempt),
    )
    row = await cursor.fetchone()
    if row is None:
        raise lost(job_id, attempt)
    return row


def lost(job_id: str, attempt: int) -> LeaseLost:
    """The fence's refusal."""
    return LeaseLost(f"attempt {attempt} of {job_id} is not the running one any more")


async def end_job(
    connection: Connection,
    row: DictRow,
    status: JobStatus,
    *,
    at: datetime,
    problem: Problem | None = None,
    counted: bool = False,
    dead: bool = False,
) -> DictRow:
    """Move the locked `row` to a terminal status, close its attempt, write its last events; returns it as it is now."""
    if row["status"] == JobStatus.RUNNING:
        await close_attempt(connection, row, at=at, outcome=status.value, problem=problem, counted=counted)
    cursor = await connection.execute(
        sql.SQL(
            "UPDATE jobs SET status = %(status)s, phase = NULL, error = %(error)s, failures = failures + %(counted)s,"
            " dead_letter = %(dead)s, parts = %(parts)s, finished_at = %(at)s, next_attempt_at = NULL,"
            " heartbeat_at = NULL, node = NULL, revision = revision + 1 WHERE id = %(job)s RETURNING {}"
        ).format(JOB_COLUMNS),
        {
            "status": status.value,
            "error": public(problem),
            "counted": int(counted),
            "dead": dead,
            "parts": jsonb(settled_parts(row["parts"], status)),
            "at": at,
            "job": row["id"],
        },
    )
    return await _said(connection, await cursor.fetchone(), at)


async def _requeue(
    connection: Connection,
    row: DictRow,
    *,
    at: datetime,
    outcome: str,
    problem: Problem | None = None,
    counted: bool = False,
    retry_at: datetime | None = None,
) -> DictRow:
    await close_attempt(connection, row, at=at, outcome=outcome, problem=problem, counted=counted)
    cursor = await connection.execute(
        sql.SQL(
            # The error stays visible during the wait: it says why there is one.
            "UPDATE jobs SET status = 'queued', phase = NULL, error = %(error)s, failures = failures + %(counted)s,"
            " next_attempt_at = %(retry_at)s, heartbeat_at = NULL, node = NULL, revision = revision + 1"
            " WHERE id = %(job)s RETURNING {}"
        ).format(JOB_COLUMNS),
        {"error": public(problem), "counted": int(counted), "retry_at": retry_at, "job": row["id"]},
    )
    return await _said(connection, await cursor.fetchone(), at)


async def _said(connection: Connection, row: DictRow | None, at: datetime) -> DictRow:
    assert row is not None  # we hold its lock
    await append_state(connection, row, at=at)
    return row


async def close_attempt(
    connection: Connection,
    row: DictRow,
    *,
    at: datetime,
    outcome: str,
    problem: Problem | None = None,
    counted: bool = False,
) -> None:
    """Write how the attempt of the locked `row` ended, with all its evidence."""
    await connection.execute(
        "UPDATE attempts SET finished_at = %s, outcome = %s, problem = %s, counted = %s"
        " WHERE job_id = %s AND attempt = %s",
        (at, outcome, jsonb(wire.plain(problem)) if problem else None, counted, row["id"], row["attempt"]),
    )


def public(problem: Problem | None) -> Any:
    """`problem` as the job shows it: evidence (argv, stderr) stays with the attempt."""
    if problem is None:
        return None
    return jsonb({name: value for name, value in wire.plain(problem).items() if name != "evidence"})
