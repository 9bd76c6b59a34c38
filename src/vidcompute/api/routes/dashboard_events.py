"""One stream for the dashboard: every job as it changes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, Response

from vidcompute.api import sse
from vidcompute.api.problems import documented
from vidcompute.api.routes.jobs import shown
from vidcompute.api.services import Services, Use
from vidcompute.errors import NotFound, VidcomputeError

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
    with use.feed.all() as changes:
        while not use.stopping.is_set():
            await sse.first(changes.wait(timeout_s=use.settings.heartbeat_s), use.stopping.wait())
            changed = changes.take()
            for job_id in changed:
                yield await _job(use, job_id)
            if changed:
                yield sse.message("counts", {s.value: n for s, n in (await use.jobs.counts(use.tenant_id)).items()})
                # Whatever happens meanwhile is taken together next time.
                await sse.pause(_PAUSE_S, use.stopping)
            elif not use.stopping.is_set():
                yield sse.comment()
    yield sse.comment("the service is restarting")


async def _job(use: Services, job_id: str) -> bytes:
    try:
        job = await shown(use, await use.jobs.get(use.tenant_id, job_id))
    except NotFound:
        return sse.message("removed", {"id": job_id})
    return sse.message("job", job.model_dump(mode="json"))
