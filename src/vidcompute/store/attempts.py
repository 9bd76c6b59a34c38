"""A running attempt's own writes. Every one is fenced: `AND attempt = n AND status = 'running'`, or LeaseLost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg import sql

from vidcompute.domain.job import Job, JobStatus, Phase
from vidcompute.domain.task import TaskKind
from vidcompute.errors import Conflict, NotFound
from vidcompute.store.db import jsonb
from vidcompute.store.events import append, append_state, notify
from vidcompute.store.lookups import JobLookups
from vidcompute.store.page import job_text, job_uuid
from vidcompute.store.records import JOB_COLUMNS, Heartbeat, job_of
from vidcompute.store.settle import close_attempt, end_job, held, lost


class AttemptWrites(JobLookups):
    """From `begin` to just before the end. All but `begin` and `heartbeat` raise LeaseLost."""

    async def begin(self, job_id: str, *, node: str) -> Job | None:
        """Start the next attempt, which is the fence of all its writes; None when the job is over or gone.

        A job that is still `running` is taken over: whoever held it lost its lease, and finds the fence closed. A job
        that was asked to end is canceled here.
        """
        now = self._now()
        async with self._db.transaction() as connection:
            cursor = await connection.execute(
                sql.SQL("SELECT {} FROM jobs WHERE id = %s FOR UPDATE").format(JOB_COLUMNS), (job_uuid(job_id),)
            )
            row = await cursor.fetchone()
            if row is None or JobStatus(row["status"]).terminal:
                return None
            if row["cancel_requested_at"] is not None:
                await end_job(connection, row, JobStatus.CANCELED, at=now)
                return None
            if row["status"] == JobStatus.RUNNING:
                await close_attempt(connection, row, at=now, outcome="lost")
            cursor = await connection.execute(
                sql.SQL(
                    "UPDATE jobs SET status = 'running', attempt = attempt + 1, node = %(node)s, phase = NULL,"
                    " progress = '{{}}', error = NULL, next_attempt_at = NULL, heartbeat_at = %(now)s,"
                    " started_at = coalesce(started_at, %(now)s), finished_at = NULL, revision = revision + 1"
                    " WHERE id = %(job)s RETURNING {}"
                ).format(JOB_COLUMNS),
                {"node": node, "now": now, "job": row["id"]},
            )
            row = await cursor.fetchone()
            assert row is not None  # we hold its lock
            await connection.execute(
                "INSERT INTO attempts (tenant_id, job_id, attempt, node, started_at) VALUES (%s, %s, %s, %s, %s)",
                (row["tenant_id"], row["id"], row["attempt"], node, now),
            )
            await append_state(connection, row, at=now)
        return job_of(row)

    async def progress(self, job_id: str, attempt: int, *, phase: Phase | None, progress: dict[str, Any]) -> None:
        """The latest progress report: overwrites the one before, and is in no log."""
        await self._write(
            job_id,
            attempt,
            "phase = %(phase)s, progress = %(progress)s",
            phase=phase.value if phase else None,
            progress=jsonb(progress),
        )

    async def set_source(
        self, job_id: str, attempt: int, *, source: dict[str, Any], source_key: str, sha256: str
    ) -> None:
        """What the probe measured, and where the original is."""
        await self._write(
            job_id,
            attempt,
            "source = %(source)s, source_key = %(key)s, source_sha256 = %(sha256)s",
            source=jsonb(source),
            key=source_key,
            sha256=sha256,
        )

    async def set_plan(self, job_id: str, attempt: int, *, plan: dict[str, Any], plan_hash: str) -> None:
        """The plan, once and for all. Setting the same again is fine; raises Conflict for another one."""
        async with self._db.transaction() as connection:
            row = await held(connection, job_id, attempt)
            if row["plan_hash"] not in {None, plan_hash}:
                raise Conflict(f"job {job_id} has a plan already, and it is another one")
            await connection.execute(
                "UPDATE jobs SET plan = %s, plan_hash = %s, revision = revision + 1 WHERE id = %s AND plan IS NULL",
                (jsonb(plan), plan_hash, row["id"]),
            )
            await notify(connection, row["id"])

    async def update_parts(self, job_id: str, attempt: int, *, parts: dict[str, Any]) -> None:
        """State of the two halves."""
        await self._write(job_id, attempt, "parts = %(parts)s", parts=jsonb(parts))

    async def update_warnings(self, job_id: str, attempt: int, *, warnings: Sequence[dict[str, Any]]) -> None:
        """Sentences for people, all of them."""
        await self._write(job_id, attempt, "warnings = %(warnings)s", warnings=jsonb(list(warnings)))

    async def publish(
        self,
        job_id: str,
        attempt: int,
        *,
        published: str,
        parts: dict[str, Any],
        renditions: Sequence[dict[str, Any]],
        warnings: Sequence[dict[str, Any]],
    ) -> None:
        """Flip the pointer that readers follow to the blob prefix `published`: from now on the result is there."""
        async with self._db.transaction() as connection:
            mine = await held(connection, job_id, attempt)
            cursor = await connection.execute(
                sql.SQL(
                    "UPDATE jobs SET published = %s, parts = %s, renditions = %s, warnings = %s,"
                    " revision = revision + 1 WHERE id = %s RETURNING {}"
                ).format(JOB_COLUMNS),
                (published, jsonb(parts), jsonb(list(renditions)), jsonb(list(warnings)), mine["id"]),
            )
            row = await cursor.fetchone()
            assert row is not None  # we hold its lock
            await append_state(connection, row, at=self._now())

    async def log(
        self, job_id: str, attempt: int, *, level: str, message: str, data: dict[str, Any] | None = None
    ) -> None:
        """A line of the job's log."""
        async with self._db.transaction() as connection:
            row = await held(connection, job_id, attempt)
            line = {"level": level, "message": message, "attempt": attempt, **({"data": data} if data else {})}
            await append(connection, row["id"], row["tenant_id"], ("log", line), at=self._now())

    async def record_task(self, job_id: str, attempt: int, *, key: str, kind: TaskKind, result: dict[str, Any]) -> None:
        """The task `key` is done and its output verified: later attempts skip it."""
        async with self._db.transaction() as connection:
            row = await held(connection, job_id, attempt)
            await connection.execute(
                "INSERT INTO tasks (tenant_id, job_id, key, kind, attempt, result, finished_at)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (job_id, key) DO UPDATE"
                " SET kind = excluded.kind, attempt = excluded.attempt, result = excluded.result,"
                " finished_at = excluded.finished_at",
                (row["tenant_id"], row["id"], key, kind.value, attempt, jsonb(result), self._now()),
            )

    async def heartbeat(self, pairs: Sequence[tuple[str, int]]) -> dict[str, Heartbeat]:
        """A sign of life for every (job id, attempt), in one statement; says which were asked to end or are lost."""
        verdicts = dict.fromkeys((job_id for job_id, _ in pairs), Heartbeat.LOST)
        known = {}
        for job_id, attempt in pairs:
            try:
                known[job_uuid(job_id)] = attempt
            except NotFound:
                continue
        async with self._db.transaction() as connection:
            cursor = await connection.execute(
                # Locked in one order for all, or two coordinators that share jobs by mistake deadlock.
                "WITH alive AS (SELECT j.id FROM jobs AS j JOIN unnest(%(ids)s::uuid[], %(attempts)s::int[])"
                "  AS mine (id, attempt) ON j.id = mine.id AND j.attempt = mine.attempt"
                "  WHERE j.status = 'running' ORDER BY j.id FOR NO KEY UPDATE OF j)"
                " UPDATE jobs SET heartbeat_at = %(now)s FROM alive WHERE jobs.id = alive.id"
                " RETURNING jobs.id, jobs.cancel_requested_at IS NOT NULL AS canceled",
                {"ids": list(known), "attempts": list(known.values()), "now": self._now()},
            )
            for row in await cursor.fetchall():
                verdicts[job_text(row["id"])] = Heartbeat.CANCELED if row["canceled"] else Heartbeat.OK
        return verdicts

    async def _write(self, job_id: str, attempt: int, changes: str, **values: Any) -> None:
        """One fenced UPDATE, visible to followers. `changes` is SQL of ours."""
        statement = sql.SQL(
            "UPDATE jobs SET revision = revision + 1, {}"
            " WHERE id = %(job)s AND attempt = %(attempt)s AND status = 'running'"
        ).format(sql.SQL(changes))
        job = job_uuid(job_id)
        async with self._db.transaction() as connection:
            cursor = await connection.execute(statement, {**values, "job": job, "attempt": attempt})
            if cursor.rowcount == 0:
                raise lost(job_id, attempt)
            await notify(connection, job)
