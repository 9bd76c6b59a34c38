"""Frame rows and what is said of them, as callers read them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from psycopg.rows import DictRow

from vidcompute.errors import NotFound
from vidcompute.store.frame_writes import VISUAL, FrameRow, FrameWrites
from vidcompute.store.page import Page, decode_cursor, encode_cursor, job_uuid

__all__ = ["DescriptionView", "FrameRow", "FrameStore", "FrameView", "FramesSummary"]

_EXPORT_ROWS = 2000

# Not the view frame_context_full: there, descriptions would be looked up for every frame before the limit applies.
_PAGE = """
    SELECT f.*, d.desc_no, d.start_ms, d.end_ms, d.kind, d.source, d.model, d.prompt_version, d.status, d.context
    FROM (
        SELECT * FROM frame_context
        WHERE job_id = %(job)s AND tenant_id = %(tenant)s AND frame_no > %(after)s
            AND (%(from)s::bigint IS NULL OR ts_ms >= %(from)s) AND (%(to)s::bigint IS NULL OR ts_ms <= %(to)s)
        ORDER BY frame_no LIMIT %(limit)s
    ) AS f
    LEFT JOIN LATERAL (
        SELECT * FROM frame_description AS x
        WHERE x.job_id = f.job_id AND x.kind = 'visual' AND x.anchor_pts = f.anchor_pts
        -- described twice, by another model or prompt: the latest word counts
        ORDER BY x.created_at DESC, x.prompt_version DESC, x.model
        LIMIT 1
    ) AS d ON true
    ORDER BY f.frame_no"""


@dataclass(frozen=True, slots=True)
class DescriptionView:
    """What is said of the frames from `start_ms` to `end_ms` (the first and the last of them)."""

    desc_no: int
    start_ms: int
    end_ms: int
    kind: str
    source: str
    model: str
    prompt_version: int
    status: str
    context: dict[str, Any]


@dataclass(frozen=True, slots=True)
class FrameView:
    """A frame with its description, None while there is none."""

    frame_no: int
    pts: int
    ts_ms: int
    scene_no: int
    similarity: float
    anchor_pts: int
    description: DescriptionView | None


@dataclass(frozen=True, slots=True)
class FramesSummary:
    """Totals of a job. `described_frames` have a description; tokens are prompt and completion together."""

    frames: int
    described_frames: int
    descriptions: int
    tokens: int
    cost_usd: float
    ocr_cpu_s: float


class FrameStore(FrameWrites):
    """Rows of frames and descriptions: read here, written by what this inherits."""

    async def page(
        self,
        tenant_id: str,
        job_id: str,
        *,
        limit: int = 100,
        cursor: str | None = None,
        from_ms: int | None = None,
        to_ms: int | None = None,
    ) -> Page[FrameView]:
        """Frames in order, from `from_ms` up to and including `to_ms`. Raises InvalidInput for a strange cursor."""
        after: int = decode_cursor(cursor, int)[0] if cursor else -1
        async with self._db.transaction() as connection:
            found = await connection.execute(
                _PAGE,
                {
                    "job": job_uuid(job_id),
                    "tenant": tenant_id,
                    "after": after,
                    "from": from_ms,
                    "to": to_ms,
                    "limit": limit + 1,
                },
            )
            rows = await found.fetchall()
        frames = [_view(row) for row in rows[:limit]]
        return Page(frames, encode_cursor(frames[-1].frame_no) if len(rows) > limit else None)

    async def get(self, tenant_id: str, job_id: str, frame_no: int) -> FrameView:
        """One frame, counted from 0. Raises NotFound."""
        page = await self.page(tenant_id, job_id, limit=1, cursor=encode_cursor(frame_no - 1))
        if not page.items or page.items[0].frame_no != frame_no:
            raise NotFound(f"job {job_id} has no frame {frame_no}", hint="Frames are counted from 0.")
        return page.items[0]

    async def export(
        self, tenant_id: str, job_id: str, *, from_ms: int | None = None, to_ms: int | None = None
    ) -> AsyncIterator[FrameView]:
        """Every frame in order, read page by page: a slow reader holds no transaction open."""
        cursor: str | None = None
        while True:
            page = await self.page(tenant_id, job_id, limit=_EXPORT_ROWS, cursor=cursor, from_ms=from_ms, to_ms=to_ms)
            for frame in page.items:
                yield frame
            cursor = page.next_cursor
            if cursor is None:
                return

    async def summary(self, tenant_id: str, job_id: str) -> FramesSummary:
        """Totals."""
        async with self._db.transaction() as connection:
            cursor = await connection.execute(
                "WITH d AS (SELECT * FROM frame_description WHERE job_id = %(job)s AND tenant_id = %(tenant)s)"
                " SELECT (SELECT count(*) FROM frame_context WHERE job_id = %(job)s AND tenant_id = %(tenant)s) AS frames,"
                "  (SELECT count(*) FROM frame_context AS f WHERE f.job_id = %(job)s AND f.tenant_id = %(tenant)s"
                "    AND f.anchor_pts IN (SELECT anchor_pts FROM d WHERE kind = %(visual)s)) AS described_frames,"
                "  count(*) FILTER (WHERE kind = %(visual)s) AS descriptions,"
                "  coalesce(sum(prompt_tokens + completion_tokens), 0)::bigint AS tokens,"
                "  coalesce(sum(cost_usd), 0)::float8 AS cost_usd, coalesce(sum(ocr_cpu_s), 0)::float8 AS ocr_cpu_s"
                " FROM d",
                {"job": job_uuid(job_id), "tenant": tenant_id, "visual": VISUAL},
            )
            row = await cursor.fetchone()
        assert row is not None  # an aggregate always has a row
        return FramesSummary(**row)


def _view(row: DictRow) -> FrameView:
    said = None
    if row["desc_no"] is not None:
        said = DescriptionView(**{name: row[name] for name in DescriptionView.__slots__})
    frame = {name: row[name] for name in FrameView.__slots__ if name != "description"}
    return FrameView(**frame, description=said)
