"""Find the moment."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import Field

from vidcompute.api.problems import FieldError, InvalidFields, documented
from vidcompute.api.routes.jobs import tags_of
from vidcompute.api.schemas import QueryText, Text
from vidcompute.api.services import Use
from vidcompute.api.views import Out, job_path
from vidcompute.errors import NotConfigured

router = APIRouter(prefix="/api/v1", tags=["search"])


class SearchMode(StrEnum):
    """By words, by meaning, or by both."""

    TEXT = "text"
    MEANING = "meaning"
    HYBRID = "hybrid"


class MomentOut(Out):
    """A stretch of a video that matches; adjacent hits are one."""

    job_id: str
    job_name: str
    start_ms: int
    end_ms: int
    frame_no: int = Field(description="The best frame.")
    snippet: str = Field(description="HTML-escaped text; hits in <mark>.")
    score: float
    thumbnail_url: str
    url: str = Field(description="The moment in the dashboard.")


class SearchOut(Out):
    """Moments, best first."""

    query: str
    mode: SearchMode
    capped: bool = Field(description="More matched than was ranked: narrow the query.")
    moments: list[MomentOut]
    next_cursor: str | None


@router.get("/search", operation_id="search", summary="Find the moment", responses=documented(404, 422, 503))
async def search(
    request: Request,
    use: Use,
    *,
    q: Annotated[
        Text,
        Query(
            max_length=10_000,
            description='Words; "a phrase", or, -not.',
            json_schema_extra={"pattern": r"^[^\u0000]*[^\s\u0000][^\u0000]*$"},
        ),
    ],
    mode: SearchMode = SearchMode.TEXT,
    job_id: QueryText = None,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> SearchOut:
    """Words in descriptions and on screen; also only in one job, or by tag: `tag.team=ads`."""
    if mode is not SearchMode.TEXT:
        msg = f"search by {mode} needs an embedding model, and none is configured; use text"
        raise InvalidFields([FieldError(pointer="/mode", msg=msg)], code=NotConfigured.code)
    if not q.strip():
        raise InvalidFields([FieldError(pointer="/q", msg="must hold a word")], code="invalid_request")
    found = await use.search.search(use.tenant_id, q, job_id=job_id, tags=tags_of(request), limit=limit, cursor=cursor)
    moments = [
        MomentOut(
            job_id=item.job_id,
            job_name=item.job_name,
            start_ms=item.start_ms,
            end_ms=item.end_ms,
            frame_no=item.frame_no,
            snippet=item.snippet,
            score=item.score,
            thumbnail_url=f"{job_path(item.job_id)}/frames/{item.frame_no}.jpg",
            url=f"/dashboard/jobs/{item.job_id}?t={item.start_ms / 1000:.3f}",
        )
        for item in found.moments
    ]
    return SearchOut(query=q, mode=mode, capped=found.capped, moments=moments, next_cursor=found.next_cursor)
