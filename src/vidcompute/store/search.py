"""Find the moment: words in descriptions and on screen, merged into stretches of video."""

from __future__ import annotations

import html
import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from psycopg import sql
from psycopg.rows import DictRow

from vidcompute.errors import NotFound
from vidcompute.store.db import Connection, Database, clean_text, jsonb
from vidcompute.store.page import decode_cursor, encode_cursor, job_text, job_uuid

#: Ranking reads every match; a word that is everywhere must not cost more than this many.
CANDIDATES = 5000
#: Hits that are closer are one moment, even if a description between them does not match.
_GAP_MS = 1000
_MAX_QUERY_CHARS = 400
_MAX_QUERY_WORDS = 24
_MAX_TEXT_CHARS = 20_000
#: A word that only begins with what was typed counts this much of one that is what was typed.
_PREFIX_WEIGHT = 0.1
_MIN_PREFIX_CHARS = 2
#: Private-use characters mark hits until the text around them is escaped; they are removed from the text before.
_OPEN, _CLOSE = "\ue000", "\ue001"
_HEADLINE = f'StartSel="{_OPEN}", StopSel="{_CLOSE}", MaxWords=35, MinWords=15'
_TOKEN = re.compile(r'(?P<minus>-+)?(?P<word>"[^"]*"?|\S+)')

# `exact` is what was asked, in English (stemmed) or word by word; `wide` lets the last word go on. Both are built by
# Postgres, from any text whatever: adding `:*` to the text form of a query makes its last word a prefix.
_QUERIES = sql.SQL("""
    WITH plain AS (
        SELECT websearch_to_tsquery('simple', %(q)s) AS simple, websearch_to_tsquery('english', %(q)s) AS english
    ),
    asked AS (
        SELECT simple || english AS exact,
            CASE WHEN %(prefix)s AND right(simple::text, 1) = %(quote)s THEN (simple::text || ':*')::tsquery
                ELSE ''::tsquery END AS wide,
            (SELECT coalesce(string_agg(word, ' or '), '') FROM unnest(%(without)s::text[]) AS word) AS unwanted
        FROM plain
    ),
    query AS (
        SELECT exact, wide, exact || wide AS wanted,
            websearch_to_tsquery('simple', unwanted) || websearch_to_tsquery('english', unwanted) AS unwanted
        FROM asked
    )""")

_HITS = _QUERIES + sql.SQL(""",
    hits AS (
        SELECT d.job_id, d.kind, d.anchor_pts, d.model, d.prompt_version, d.desc_no, d.start_ms, d.end_ms, d.tsv
        FROM query, frame_description AS d
        WHERE d.tsv @@ query.wanted AND NOT d.tsv @@ query.unwanted
            AND d.tenant_id = %(tenant)s AND d.desc_no IS NOT NULL
            AND (%(job)s::uuid IS NULL OR d.job_id = %(job)s)
            AND (%(tags)s::jsonb IS NULL
                OR d.job_id IN (SELECT id FROM jobs WHERE tenant_id = %(tenant)s AND tags @> %(tags)s))
        LIMIT %(cap)s
    )
    SELECT job_id, kind, anchor_pts, model, prompt_version, desc_no, start_ms, end_ms,
        -- 32: rank / (rank + 1), so that a score lies between 0 and 1
        ((ts_rank_cd(tsv, query.exact, 32) + %(weight)s * ts_rank_cd(tsv, query.wide, 32)) / (1 + %(weight)s))::float8
            AS score
    FROM hits, query
    ORDER BY job_id, start_ms, desc_no""")

_DETAILS = sql.SQL("""
    SELECT p.ord, j.name AS job_name, f.frame_no, d.context
    FROM unnest(%(jobs)s::uuid[], %(kinds)s::text[], %(anchors)s::bigint[], %(models)s::text[], %(versions)s::int[])
        WITH ORDINALITY AS p (job_id, kind, anchor_pts, model, prompt_version, ord)
    JOIN frame_description AS d USING (job_id, kind, anchor_pts, model, prompt_version)
    JOIN jobs AS j ON j.id = p.job_id
    JOIN frame_context AS f ON f.job_id = p.job_id AND f.pts = p.anchor_pts
    ORDER BY p.ord""")

_SNIPPETS = _QUERIES + sql.SQL("""
    SELECT ts_headline('english', t.text, query.wanted, %(options)s) AS snippet
    FROM unnest(%(texts)s::text[]) WITH ORDINALITY AS t (text, ord), query
    ORDER BY t.ord""")


@dataclass(frozen=True, slots=True)
class Moment:
    """A stretch of a video that matches. `snippet` is HTML-escaped text with <mark> only; `score` is 0 to 1."""

    job_id: str
    job_name: str
    start_ms: int
    end_ms: int
    #: The described frame of the best hit.
    frame_no: int
    snippet: str
    score: float


@dataclass(frozen=True, slots=True)
class Found:
    """Moments, best first. `capped` says that more matched than was ranked."""

    moments: list[Moment]
    capped: bool
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class _Query:
    """`text` in web syntax without its negated parts, which are in `without`; `prefix`: the last word may go on."""

    text: str
    without: list[str]
    prefix: bool


@dataclass(slots=True)
class _Stretch:
    """Adjacent hits of one job, and the best of them."""

    start_ms: int
    end_ms: int
    last_no: int
    best: DictRow

    @property
    def order(self) -> tuple[float, str, int]:
        """Best first; equal ones in a fixed order, so that pages do not overlap."""
        return (-self.best["score"], str(self.best["job_id"]), self.start_ms)


class SearchStore:
    """Full-text search over descriptions that frames point at."""

    def __init__(self, database: Database, *, candidates: int = CANDIDATES) -> None:
        """At most `candidates` hits are ranked; which ones of more is not defined, and `capped` says so."""
        self._db = database
        self._candidates = candidates

    async def search(
        self,
        tenant_id: str,
        query: str,
        *,
        job_id: str | None = None,
        tags: dict[str, str] | None = None,
        limit: int = 20,
        cursor: str | None = None,
    ) -> Found:
        """Moments that match `query`: words, "phrases", `or`, `-not`; the last word also as the beginning of one.

        Any text is a legal query. Raises NotFound for an unknown `job_id`, InvalidInput for a strange cursor.
        """
        asked = _parse(query)
        after = decode_cursor(cursor, float, str, int) if cursor else None
        values: dict[str, Any] = {
            "tenant": tenant_id,
            "q": asked.text,
            "without": asked.without,
            "prefix": asked.prefix,
            "quote": "'",
            "job": job_uuid(job_id) if job_id else None,
            "tags": jsonb(tags) if tags else None,
            "cap": self._candidates + 1,
            "weight": _PREFIX_WEIGHT,
        }
        async with self._db.transaction() as connection:
            if job_id is not None:
                await _existing(connection, tenant_id, job_id)
            hits = await (await connection.execute(_HITS, values)).fetchall()
            capped = len(hits) > self._candidates
            stretches = sorted(_stretches(hits[: self._candidates]), key=lambda stretch: stretch.order)
            if after is not None:
                stretches = [stretch for stretch in stretches if stretch.order > after]
            shown = stretches[:limit]
            moments = await _shown(connection, shown, values)
        more = len(stretches) > limit
        return Found(moments, capped, encode_cursor(*shown[-1].order) if more else None)


async def _existing(connection: Connection, tenant_id: str, job_id: str) -> None:
    cursor = await connection.execute(
        "SELECT 1 FROM jobs WHERE id = %s AND tenant_id = %s", (job_uuid(job_id), tenant_id)
    )
    if await cursor.fetchone() is None:
        raise NotFound(f"there is no job {job_id!r}")


def _parse(query: str) -> _Query:
    """The query in parts. A negated word must be absent in either configuration, so it cannot stay in the text."""
    tokens = itertools.islice(_TOKEN.finditer(clean_text(query)[:_MAX_QUERY_CHARS]), _MAX_QUERY_WORDS)
    wanted: list[str] = []
    without: list[str] = []
    for token in tokens:
        (without if token["minus"] else wanted).append(token["word"])
    last = wanted[-1] if wanted else ""
    prefix = len(last) >= _MIN_PREFIX_CHARS and '"' not in last and last.lower() != "or"
    return _Query(" ".join(wanted), without, prefix)


def _stretches(hits: Iterable[DictRow]) -> Iterator[_Stretch]:
    """Merge hits, which come in order of job and time."""
    current: _Stretch | None = None
    for hit in hits:
        if current is not None and _continues(current, hit):
            current.end_ms = max(current.end_ms, hit["end_ms"])
            current.last_no = max(current.last_no, hit["desc_no"])
            current.best = max(current.best, hit, key=lambda row: row["score"])
            continue
        if current is not None:
            yield current
        current = _Stretch(hit["start_ms"], hit["end_ms"], hit["desc_no"], hit)
    if current is not None:
        yield current


def _continues(stretch: _Stretch, hit: DictRow) -> bool:
    near = hit["start_ms"] - stretch.end_ms <= _GAP_MS or hit["desc_no"] <= stretch.last_no + 1
    return near and bool(hit["job_id"] == stretch.best["job_id"])


async def _shown(connection: Connection, stretches: list[_Stretch], values: dict[str, Any]) -> list[Moment]:
    best = [stretch.best for stretch in stretches]
    keys = {
        "jobs": [hit["job_id"] for hit in best],
        "kinds": [hit["kind"] for hit in best],
        "anchors": [hit["anchor_pts"] for hit in best],
        "models": [hit["model"] for hit in best],
        "versions": [hit["prompt_version"] for hit in best],
    }
    details = await (await connection.execute(_DETAILS, keys)).fetchall()
    texts = {"texts": [_text(row["context"]) for row in details], "options": _HEADLINE}
    snippets = await (await connection.execute(_SNIPPETS, values | texts)).fetchall()
    return [
        _moment(stretches[row["ord"] - 1], row, snippet["snippet"])
        for row, snippet in zip(details, snippets, strict=True)
    ]


def _moment(stretch: _Stretch, details: DictRow, snippet: str) -> Moment:
    return Moment(
        job_id=job_text(stretch.best["job_id"]),
        job_name=details["job_name"],
        start_ms=stretch.start_ms,
        end_ms=stretch.end_ms,
        frame_no=details["frame_no"],
        snippet=_marked(snippet),
        score=round(stretch.best["score"], 6),
    )


def _text(context: dict[str, Any]) -> str:
    """All that is searched of a description, as one text, without characters that would come out as our marks."""
    parts = [str(context.get("summary") or "")]
    for name in ("objects", "actions", "ocr_text"):
        words = context.get(name)
        if isinstance(words, list) and words:
            parts.append(", ".join(map(str, words)))
    text = " · ".join(part for part in parts if part)
    return text[:_MAX_TEXT_CHARS].replace(_OPEN, "").replace(_CLOSE, "")


def _marked(snippet: str) -> str:
    """Escaped first, marked then: text on screen is a stranger's."""
    return html.escape(snippet).replace(_OPEN, "<mark>").replace(_CLOSE, "</mark>")
