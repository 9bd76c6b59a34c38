"""One stream for the dashboard: every job as it changes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, Response

from vidcompute.api import sse
from vidcompute.api.problems import documented
from vidcompute.api.routes.jobs import job_counts, shown
from vidcompute.api.services import Services, Use
from vidcompute.errors import NotFound, VidcomputeError
from vidcompute.store.feed import Following

router = APIRouter(prefix="/api/v1", tags=["jobs"])

#: At most this often: progress of many jobs at once must not become a flood.
_PAUSE_S = 0.25

_DOC: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Events `job` (a whole job), `removed` (its id) and `counts`.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}


@router.get(
    "/events",
    operation_id="followAll",
    summary="All jobs, live",
    response_class=Response,
    responses={**_DOC, **documented(503)},
)
async def events(use: Use) -> Response:
    """Changes from now on; what was before comes from the list. Nothing is replayed after a break: list again."""
    return sse.EventStream(_stream(use))


async def _stream(use: Services) -> AsyncIterator[bytes]:
    yield sse.opening()
    yield sse.comment("listening")
    try:
        async for piece in _changes(use):
            yield piece
    except VidcomputeError as error:
        # The status line is long gone; the page reconnects and is told then.
        yield sse.comment(error.code)


async def _changes(use: Services) -> AsyncIterator[bytes]:
    async with use.feed.follow(None) as changes:
        while not use.stopping.is_set():
            changed = await _wait(use, changes)
            jobs = changes.take()
            for job_id in jobs:
                yield await _job(use, job_id)
            if jobs:
                yield sse.message("counts", (await job_counts(use)).model_dump())
                # Whatever happens meanwhile is taken together next time.
                await sse.pause(_PAUSE_S, use.stopping)
            elif changed:
                # The database connection was lost for a while: a page that connects again lists again.
                return
            else:
                yield sse.comment()
    yield sse.comment("the service is restarting")


async def _wait(use: Services, changes: Following) -> bool:
    return (
        bool(await sse.first(changes.wait(use.settings.heartbeat_s), use.stopping.wait())) and not use.stopping.is_set()
    )


async def _job(use: Services, job_id: str) -> bytes:
    try:
        job = await shown(use, await use.jobs.get(use.tenant_id, job_id))
    except NotFound:
        return sse.message("removed", {"id": job_id})
    return sse.message("job", job.model_dump(mode="json"))
