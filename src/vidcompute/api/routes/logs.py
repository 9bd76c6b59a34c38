"""A job's log, as a stream that resumes, or as a document."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from starlette.exceptions import HTTPException
from starlette.responses import StreamingResponse

from vidcompute.api import sse
from vidcompute.api.accept import best
from vidcompute.api.problems import documented
from vidcompute.api.routes.jobs import JobId
from vidcompute.api.services import Services, Use
from vidcompute.api.views import ProgressOut
from vidcompute.domain.job import Job
from vidcompute.errors import VidcomputeError
from vidcompute.store.events import Event
from vidcompute.store.feed import Following

router = APIRouter(prefix="/api/v1/jobs", tags=["jobs"])

SSE, NDJSON, TEXT = "text/event-stream", "application/x-ndjson", "text/plain"
_PAGE = 500

_STREAM_DOC: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Events `log`, `progress`, `state`, `end`; ids are sequence numbers of the log.",
        "content": {kind: {"schema": {"type": "string"}} for kind in (SSE, NDJSON, TEXT)},
    },
    204: {"description": "The job is over and everything was read: stop reconnecting."},
}


@router.get(
    "/{job_id}/logs",
    operation_id="followJob",
    summary="Log and progress, live",
    response_class=Response,
    responses={**_STREAM_DOC, **documented(404, 406, 422, 503)},
)
async def logs(
    job_id: JobId,
    request: Request,
    use: Use,
    after: Annotated[int | None, Query(ge=0, le=2**53, description="Start after this sequence number.")] = None,
    last_event_id: Annotated[str | None, Header(max_length=64)] = None,
) -> Response:
    """Everything the job said, from the start or after `Last-Event-ID`, then live until its end.

    As `application/x-ndjson` or `text/plain`: what there is now, without waiting.
    """
    job = await use.jobs.get(use.tenant_id, job_id)
    kind = best(request.headers.get("accept"), (SSE, NDJSON, TEXT))
    if kind is None:
        raise HTTPException(406, f"the log comes as {SSE}, {NDJSON} or {TEXT}")
    resumed = int(last_event_id) if last_event_id and last_event_id.isdecimal() else after
    if kind != SSE:
        line = _ndjson if kind == NDJSON else _text
        return StreamingResponse(_document(use, job_id, resumed or 0, line), media_type=kind)
    if resumed is not None and job.status.terminal and not await _events(use, job_id, resumed, limit=1):
        return Response(status_code=HTTPStatus.NO_CONTENT)
    return sse.EventStream(_stream(use, job, resumed or 0))


async def _events(use: Services, job_id: str, after: int, *, limit: int = _PAGE) -> list[Event]:
    return list(await use.jobs.events(use.tenant_id, job_id, after_seq=after, limit=limit))


async def _stream(use: Services, job: Job, after: int) -> AsyncIterator[bytes]:
    yield sse.opening()
    try:
        async with use.feed.follow(job.id) as changes:
            async for piece in _Follower(use, job, after, changes).pieces():
                yield piece
    except VidcomputeError as error:
        # The status line is long gone; the client reconnects and is told then.
        yield sse.comment(error.code)


@dataclass(slots=True)
class _Follower:
    """One reader of one job's stream. Progress has no id: it is not stored, so nothing can resume at it."""

    use: Services
    job: Job
    after: int
    changes: Following
    _progress: dict[str, Any] = field(default_factory=dict)

    async def pieces(self) -> AsyncIterator[bytes]:
        """Encoded events until the end of the job, or of the service."""
        use = self.use
        while True:
            # Read the job before its log: if it is over by now, the log read next is complete.
            self.job = await use.jobs.get(use.tenant_id, self.job.id)
            found = await self._next()
            for piece in (*self._log(found), *self._changed_progress()):
                yield piece
            if len(found) == _PAGE:
                continue
            if self.job.status.terminal:
                return
            if use.stopping.is_set():
                yield sse.comment("the service is restarting")
                return
            if not await sse.first(self.changes.wait(use.settings.heartbeat_s), use.stopping.wait()):
                yield sse.comment()

    async def _next(self) -> list[Event]:
        found = await _events(self.use, self.job.id, self.after)
        if found and found[-1].kind == "end" and not self.job.status.terminal:
            # It ended between the two reads, or this is the end of an earlier life: the job knows.
            self.job = await self.use.jobs.get(self.use.tenant_id, self.job.id)
        return found

    def _log(self, found: list[Event]) -> Iterator[bytes]:
        for event in found:
            self.after = event.seq
            # A retried job's log holds the ends of earlier lives; only the last one is the end.
            if event.kind != "end" or (self.job.status.terminal and event is found[-1]):
                yield sse.message(event.kind, _payload(event), event_id=event.seq)

    def _changed_progress(self) -> Iterator[bytes]:
        if not self.job.progress or self.job.status.terminal:
            return
        progress = {"phase": self.job.phase, **ProgressOut(**self.job.progress).model_dump()}
        if progress != self._progress:
            self._progress = progress
            yield sse.message("progress", progress)


def _payload(event: Event) -> dict[str, Any]:
    return {"seq": event.seq, "at": event.at.isoformat().replace("+00:00", "Z"), **event.data}


async def _document(use: Services, job_id: str, after: int, line: Callable[[Event], bytes]) -> AsyncIterator[bytes]:
    while found := await _events(use, job_id, after):
        for event in found:
            yield line(event)
        after = found[-1].seq


def _ndjson(event: Event) -> bytes:
    body = {"event": event.kind, **_payload(event)}
    return (json.dumps(body, ensure_ascii=False, separators=(",", ":")) + "\n").encode()


def _text(event: Event) -> bytes:
    at = event.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if event.kind == "log":
        return f"{at} {event.data.get('level', 'info'):<7} {event.data.get('message', '')}\n".encode()
    error = event.data.get("error") if event.kind == "end" else None
    why = f" {error['code']}: {error['detail']}" if error else ""
    return f"{at} {event.kind:<7} {event.data.get('status', '')}{why}\n".encode()
