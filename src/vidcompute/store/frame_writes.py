"""Writing frames and what is said of them. Every write is fenced by the job's attempt and raises LeaseLost."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from vidcompute.domain.frames import Description
from vidcompute.errors import OutputInvalid
from vidcompute.store.db import Connection, Database, jsonb
from vidcompute.store.page import job_uuid
from vidcompute.store.settle import held, lost

#: The kind of description that frames show; others (speech, say) have ranges of their own.
VISUAL = "visual"
_COPY_ROWS = 2000
#: A text larger than this cannot be indexed (a tsvector holds 1 MiB); no honest description comes near.
_MAX_FIELD_CHARS = 32_000
_SEARCHED = ("summary", "objects", "actions", "ocr_text")


@dataclass(frozen=True, slots=True)
class FrameRow:
    """One source frame. `pts` is in the stream's time base, `ts_ms` counts from the start of what is published."""

    pts: int
    frame_no: int
    ts_ms: int
    scene_no: int
    anchor_pts: int
    #: Likeness to the anchor, 0 to 1.
    similarity: float


class FrameWrites:
    """What tasks store."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def replace_frames(self, *, tenant_id: str, job_id: str, attempt: int, rows: Iterable[FrameRow]) -> int:
        """Make `rows` the job's frames, all or nothing, however many there are; returns how many.

        Descriptions get their numbers and time ranges from them. Raises OutputInvalid if two rows are the same frame.
        """
        job = job_uuid(job_id)
        try:
            async with self._db.transaction() as connection:
                # Hours of video are millions of rows; the pool's timeout is meant for queries.
                await connection.execute("SET LOCAL statement_timeout = '20min'")
                await _alone(connection, job)
                await _check_fence(connection, job, tenant_id, attempt, job_id=job_id)
                await connection.execute("DELETE FROM frame_context WHERE job_id = %s", (job,))
                stored = await _copy(connection, job, tenant_id, rows)
                await _number(connection, job)
                # Checked again with the row locked, and only now: a lock held through the copy would stop the
                # job's heartbeat, and a fence that closed meanwhile rolls everything back.
                await held(connection, job_id, attempt)
        except psycopg.IntegrityError as error:
            raise OutputInvalid(f"the frames of {job_id} are not distinct: {str(error).splitlines()[0]}") from error
        return stored

    async def upsert_descriptions(
        self, *, tenant_id: str, job_id: str, attempt: int, items: Sequence[Description]
    ) -> int:
        """Store descriptions, replacing those of the same kind, anchor, model and prompt; returns how many."""
        job = job_uuid(job_id)
        records = {(item.kind, item.pts, item.model, item.prompt_version): _record(item) for item in items}
        async with self._db.transaction() as connection:
            await _check_fence(connection, job, tenant_id, attempt, job_id=job_id)
            await connection.execute(
                "INSERT INTO frame_description (tenant_id, job_id, kind, anchor_pts, model, prompt_version, source,"
                "  status, context, prompt_tokens, completion_tokens, cost_usd, ocr_cpu_s, extra)"
                " SELECT %(tenant)s, %(job)s, x.* FROM jsonb_to_recordset(%(items)s) AS x (kind text,"
                "  anchor_pts bigint, model text, prompt_version int, source text, status text, context jsonb,"
                "  prompt_tokens bigint, completion_tokens bigint, cost_usd numeric, ocr_cpu_s real, extra jsonb)"
                " ON CONFLICT (job_id, kind, anchor_pts, model, prompt_version) DO UPDATE SET source = excluded.source,"
                "  status = excluded.status, context = excluded.context, prompt_tokens = excluded.prompt_tokens,"
                "  completion_tokens = excluded.completion_tokens, cost_usd = excluded.cost_usd,"
                "  ocr_cpu_s = excluded.ocr_cpu_s, extra = excluded.extra, created_at = excluded.created_at",
                {"tenant": tenant_id, "job": job, "items": jsonb(list(records.values()))},
            )
            cursor = await connection.execute("SELECT 1 FROM frame_context WHERE job_id = %s LIMIT 1", (job,))
            if await cursor.fetchone() is not None:
                await _number(connection, job, anchors=[item.pts for item in items])
            await held(connection, job_id, attempt)
        return len(records)

    async def described(self, job_id: str, *, kind: str, model: str, prompt_version: int) -> set[int]:
        """Anchors (pts) that need no more describing by this model and prompt."""
        async with self._db.transaction() as connection:
            cursor = await connection.execute(
                "SELECT anchor_pts FROM frame_description"
                " WHERE job_id = %s AND kind = %s AND model = %s AND prompt_version = %s AND status = 'done'",
                (job_uuid(job_id), kind, model, prompt_version),
            )
            return {row["anchor_pts"] for row in await cursor.fetchall()}


async def _alone(connection: Connection, job: uuid.UUID) -> None:
    """Until the transaction ends, nobody else replaces this job's frames: a zombie's copy and ours would collide."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"frames {job}",))


async def _check_fence(connection: Connection, job: uuid.UUID, tenant_id: str, attempt: int, *, job_id: str) -> None:
    """Refuse early what the fence would refuse at the end, without a lock."""
    cursor = await connection.execute(
        "SELECT 1 FROM jobs WHERE id = %s AND tenant_id = %s AND attempt = %s AND status = 'running'",
        (job, tenant_id, attempt),
    )
    if await cursor.fetchone() is None:
        raise lost(job_id, attempt)


async def _copy(connection: Connection, job: uuid.UUID, tenant_id: str, rows: Iterable[FrameRow]) -> int:
    stored = 0
    async with (
        connection.cursor() as cursor,
        cursor.copy(
            "COPY frame_context (job_id, tenant_id, pts, frame_no, ts_ms, scene_no, anchor_pts, similarity) FROM STDIN"
        ) as copy,
    ):
        for batch in _batches(rows):
            # Numbers need no escaping; formatting a block at once costs a tenth of a write per row.
            await copy.write("".join(_line(job, tenant_id, row) for row in batch))
            stored += len(batch)
    return stored


def _line(job: uuid.UUID, tenant_id: str, row: FrameRow) -> str:
    similarity = min(1.0, max(0.0, row.similarity))
    return (
        f"{job}\t{tenant_id}\t{row.pts:d}\t{row.frame_no:d}\t{row.ts_ms:d}\t{row.scene_no:d}\t{row.anchor_pts:d}"
        f"\t{similarity:.6f}\n"
    )


def _batches(rows: Iterable[FrameRow]) -> Iterator[list[FrameRow]]:
    left = iter(rows)
    while batch := list(itertools.islice(left, _COPY_ROWS)):
        yield batch


async def _number(connection: Connection, job: uuid.UUID, *, anchors: Sequence[int] | None = None) -> None:
    """Give descriptions (None: all) their number and range by the frames that point at them, none where none do."""
    # Of rows written in this very transaction the planner knows nothing and expects one: its nested loop over
    # "one" is quadratic in fact, 25 s for an hour of video.
    await connection.execute("SET LOCAL enable_nestloop = off")
    await connection.execute(
        "WITH ranges AS (SELECT anchor_pts, min(ts_ms) AS start_ms, max(ts_ms) AS end_ms,"
        "  row_number() OVER (ORDER BY anchor_pts) - 1 AS desc_no"
        "  FROM frame_context WHERE job_id = %(job)s GROUP BY anchor_pts),"
        " wanted AS (SELECT x.anchor_pts, r.desc_no, r.start_ms, r.end_ms"
        "  FROM (SELECT DISTINCT anchor_pts FROM frame_description WHERE job_id = %(job)s AND kind = %(visual)s"
        "   AND (%(anchors)s::bigint[] IS NULL OR anchor_pts = ANY (%(anchors)s))) AS x"
        "  LEFT JOIN ranges AS r USING (anchor_pts))"
        " UPDATE frame_description AS d SET desc_no = w.desc_no, start_ms = w.start_ms, end_ms = w.end_ms"
        " FROM wanted AS w WHERE d.job_id = %(job)s AND d.kind = %(visual)s AND d.anchor_pts = w.anchor_pts"
        " AND (d.desc_no, d.start_ms, d.end_ms) IS DISTINCT FROM (w.desc_no, w.start_ms, w.end_ms)",
        {"job": job, "visual": VISUAL, "anchors": anchors},
    )


def _record(item: Description) -> dict[str, Any]:
    return {
        "kind": item.kind,
        "anchor_pts": item.pts,
        "model": item.model,
        "prompt_version": item.prompt_version,
        "source": item.source,
        "status": item.status,
        "context": {name: _clipped(value) if name in _SEARCHED else value for name, value in item.context.items()},
        "prompt_tokens": item.prompt_tokens,
        "completion_tokens": item.completion_tokens,
        "cost_usd": item.cost_usd,
        "ocr_cpu_s": item.ocr_cpu_s,
        "extra": item.extra,
    }


def _clipped(value: object) -> object:
    """A searched field within bounds: a page of text on screen, or a hostile model, must not fail the write."""
    if isinstance(value, str):
        return value[:_MAX_FIELD_CHARS]
    if not isinstance(value, list | tuple):
        return value
    room, kept = _MAX_FIELD_CHARS, []
    for part in value:
        text = str(part)[:room]
        room -= len(text) + 1
        kept.append(text)
        if room <= 0:
            break
    return kept
