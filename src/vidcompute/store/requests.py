"""What callers want of jobs: a new one, an end, another try, oblivion."""

from __future__ import annotations

import secrets
import uuid
from datetime import datetime, timedelta

from psycopg import sql
from psycopg.rows import DictRow

from vidcompute import wire
from vidcompute.domain.job import Job, JobSpec, JobStatus
from vidcompute.errors import Conflict, IdempotencyConflict, NotFound
from vidcompute.store.db import Connection, clean_text, jsonb
from vidcompute.store.events import append_state
from vidcompute.store.lookups import JobLookups
from vidcompute.store.page import job_text, job_uuid, new_job_uuid
from vidcompute.store.records import JOB_COLUMNS, Created, Leftovers, initial_parts, job_of, reopened_parts
from vidcompute.store.settle import end_job

#: How long a repeated submission finds its first job.
IDEMPOTENCY_TTL = timedelta(hours=24)


class JobRequests(JobLookups):
    """Changes that callers ask for."""

    async def create(
        self,
        *,
        tenant_id: str,
        spec: JobSpec,
        name: str,
        idempotency_key: str | None = None,
        body_hash: str | None = None,
    ) -> Created:
        """A queued job with its first event, in one transaction.

        The same key with the same body gives the job of the first time, for 24 hours; with another body it raises
        IdempotencyConflict.
        """
        now = self._now()
        job = new_job_uuid(int(now.timestamp() * 1000), secrets.token_bytes(10))
        async with self._db.transaction() as connection:
            # Who the tenants are is decided by authentication; here they only need a row to hang things on.
            await connection.execute("INSERT INTO tenants (id) VALUES (%s) ON CONFLICT DO NOTHING", (tenant_id,))
            if idempotency_key is not None:
                first = await _claim_key(connection, tenant_id, idempotency_key, body_hash or "", job, now)
                if first != job:
                    return Created(job_of(await _locked(connection, tenant_id, job_text(first))), repeated=True)
            row = await _insert(connection, job, tenant_id, spec, name, now)
            await append_state(connection, row, at=now)
        return Created(job_of(row), repeated=False)

    async def request_cancel(self, tenant_id: str, job_id: str) -> Job:
        """End a job: a queued one now; a running one is told, and ends when its processes have.

        Asking twice changes nothing. Raises NotFound, or Conflict if it is over.
        """
        now = self._now()
        async with self._db.transaction() as connection:
            row = await _locked(connection, tenant_id, job_id)
            status = JobStatus(row["status"])
            if status.terminal:
                raise Conflict(
                    f"job {job_id} is over: {status.value}", hint="Only queued or running jobs can be ended."
                )
            if status is JobStatus.QUEUED:
                row = await end_job(connection, row, JobStatus.CANCELED, at=now)
            elif row["cancel_requested_at"] is None:
                row = await _update(connection, row["id"], "cancel_requested_at = %(now)s", {"now": now})
                await append_state(connection, row, at=now)
        return job_of(row)

    async def retry(self, tenant_id: str, job_id: str) -> Job:
        """Queue a failed or canceled job again, failures forgotten; its plan and done tasks stay.

        Raises NotFound, or Conflict for any other status.
        """
        now = self._now()
        async with self._db.transaction() as connection:
            row = await _locked(connection, tenant_id, job_id)
            if row["status"] not in {JobStatus.FAILED, JobStatus.CANCELED}:
                raise Conflict(
                    f"job {job_id} is {row['status']}", hint="Only failed or canceled jobs can be tried again."
                )
            row = await _update(
                connection,
                row["id"],
                "status = 'queued', phase = NULL, failures = 0, dead_letter = false, error = NULL, progress = '{}',"
                " warnings = '[]', parts = %(parts)s, started_at = NULL, finished_at = NULL, next_attempt_at = NULL,"
                " cancel_requested_at = NULL",
                {"parts": jsonb(reopened_parts(row["parts"]))},
            )
            await append_state(connection, row, at=now)
        return job_of(row)

    async def delete(self, tenant_id: str, job_id: str) -> Leftovers:
        """Forget a job that is over, with its frames, log and upload; returns the blobs that nobody needs any more.

        Raises NotFound, or Conflict while it is queued or running.
        """
        async with self._db.transaction() as connection:
            row = await _locked(connection, tenant_id, job_id)
            if not JobStatus(row["status"]).terminal:
                raise Conflict(f"job {job_id} is {row['status']}", hint="Cancel it first.")
            leftovers = await _leftovers(connection, row)
            await connection.execute("DELETE FROM jobs WHERE id = %s", (row["id"],))
        return leftovers

    async def forget_keys(self) -> int:
        """Drop idempotency keys past their time; returns how many."""
        async with self._db.transaction() as connection:
            cursor = await connection.execute("DELETE FROM idempotency_keys WHERE expires_at <= %s", (self._now(),))
            return cursor.rowcount


async def _claim_key(
    connection: Connection, tenant_id: str, key: str, body_hash: str, job: uuid.UUID, now: datetime
) -> uuid.UUID:
    """`job` if the key is now its own, else the job that has it. Two at once: the second waits for the first."""
    cursor = await connection.execute(
        "INSERT INTO idempotency_keys AS k (tenant_id, key, body_hash, job_id, expires_at)"
        " VALUES (%(tenant)s, %(key)s, %(hash)s, %(job)s, %(expires)s)"
        " ON CONFLICT (tenant_id, key) DO UPDATE SET body_hash = %(hash)s, job_id = %(job)s, expires_at = %(expires)s"
        " WHERE k.expires_at <= %(now)s RETURNING job_id",
        {
            "tenant": tenant_id,
            "key": key,
            "hash": body_hash,
            "job": job,
            "expires": now + IDEMPOTENCY_TTL,
            "now": now,
        },
    )
    if await cursor.fetchone() is not None:
        return job
    cursor = await connection.execute(
        "SELECT job_id, body_hash FROM idempotency_keys WHERE tenant_id = %s AND key = %s", (tenant_id, key)
    )
    found = await cursor.fetchone()
    if found is None:
        # Deleted, with its job, between the two statements: the caller's repeat will be a first.
        raise Conflict("the job of this Idempotency-Key was deleted at this moment", hint="Send the request again.")
    if found["body_hash"] != body_hash:
        raise IdempotencyConflict(f"this Idempotency-Key was used for another request, {job_text(found['job_id'])}")
    first: uuid.UUID = found["job_id"]
    return first


async def _insert(
    connection: Connection, job: uuid.UUID, tenant_id: str, spec: JobSpec, name: str, now: datetime
) -> DictRow:
    cursor = await connection.execute(
        sql.SQL(
            "INSERT INTO jobs (id, tenant_id, name, spec, priority, max_attempts, parts, tags, created_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING {}"
        ).format(JOB_COLUMNS),
        (
            job,
            tenant_id,
            clean_text(name),
            jsonb(wire.plain(spec)),
            spec.priority.value,
            spec.max_attempts,
            jsonb(initial_parts(spec)),
            jsonb(spec.tags),
            now,
        ),
    )
    return _one(await cursor.fetchone())


async def _locked(connection: Connection, tenant_id: str, job_id: str) -> DictRow:
    cursor = await connection.execute(
        sql.SQL("SELECT {} FROM jobs WHERE id = %s AND tenant_id = %s FOR UPDATE").format(JOB_COLUMNS),
        (job_uuid(job_id), tenant_id),
    )
    row = await cursor.fetchone()
    if row is None:
        raise NotFound(f"there is no job {job_id!r}")
    return row


async def _update(connection: Connection, job: uuid.UUID, changes: str, values: dict[str, object]) -> DictRow:
    statement = sql.SQL("UPDATE jobs SET revision = revision + 1, {} WHERE id = %(job)s RETURNING {}")
    cursor = await connection.execute(statement.format(sql.SQL(changes), JOB_COLUMNS), {**values, "job": job})
    return _one(await cursor.fetchone())


async def _leftovers(connection: Connection, row: DictRow) -> Leftovers:
    job, tenant_id, sha256 = row["id"], row["tenant_id"], row["source_sha256"]
    prefixes = [f"{tenant_id}/jobs/{job_text(job)}/"]
    keys = []
    if sha256:
        cursor = await connection.execute(
            "SELECT plan_hash FROM jobs WHERE tenant_id = %s AND source_sha256 = %s AND id <> %s",
            (tenant_id, sha256, job),
        )
        others = [other["plan_hash"] for other in await cursor.fetchall()]
        # Originals and intermediate results are content keys: two jobs of one file share them.
        if not others:
            prefixes.append(f"{tenant_id}/work/{sha256}/")
            keys.append(row["source_key"])
        elif row["plan_hash"] and row["plan_hash"] not in others:
            prefixes.append(f"{tenant_id}/work/{sha256}/{row['plan_hash'][:16]}/")
    upload = row["spec"]["input"]
    if upload.startswith("upload:"):
        cursor = await connection.execute(
            "DELETE FROM uploads WHERE id = %(upload)s AND tenant_id = %(tenant)s AND NOT EXISTS"
            " (SELECT FROM jobs WHERE tenant_id = %(tenant)s AND spec ->> 'input' = %(input)s"
            "  AND spec ->> 'input' LIKE 'upload:%%' AND id <> %(job)s)"
            " RETURNING key",
            {"upload": upload.removeprefix("upload:"), "tenant": tenant_id, "input": upload, "job": job},
        )
        keys += [found["key"] for found in await cursor.fetchall()]
    return Leftovers(tuple(prefixes), tuple(key for key in keys if key))


def _one(row: DictRow | None) -> DictRow:
    assert row is not None  # RETURNING of a row that we hold
    return row
