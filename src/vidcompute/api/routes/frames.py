"""What was seen: frame rows, one frame, its picture."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field
from starlette.exceptions import HTTPException
from starlette.responses import StreamingResponse

from vidcompute.api import files
from vidcompute.api.accept import best
from vidcompute.api.problems import documented
from vidcompute.api.routes.jobs import JobId
from vidcompute.api.routes.playback import published
from vidcompute.api.services import Use
from vidcompute.api.views import Out
from vidcompute.errors import NotFound
from vidcompute.store.frames import FrameView

router = APIRouter(prefix="/api/v1/jobs", tags=["frames"])

JSON, NDJSON, CSV, VTT = "application/json", "application/x-ndjson", "text/csv", "text/vtt"
_MAX_MS = 2**53 - 1
_MAX_FRAME = 2**31 - 1

Ms = Annotated[int | None, Query(ge=0, le=_MAX_MS)]
FrameNo = Annotated[int, Path(ge=0, le=_MAX_FRAME, description="Counted from 0 in presentation order.")]


class DescriptionOut(Out):
    """What is said of a run of frames. `source` says who: `local` measured facts, or a model."""

    desc_no: int
    start_ms: int
    end_ms: int
    source: str
    model: str
    status: str
    context: dict[str, Any] = Field(description="summary, objects, actions, ocr_text and more.")


class FrameOut(Out):
    """One source frame. `similarity` is its likeness to the described frame, 1 for that frame itself."""

    frame_no: int
    pts: int = Field(description="Presentation time in the source's own time base.")
    ts_ms: int
    scene_no: int
    similarity: float
    description: DescriptionOut | None


class FramePage(Out):
    """Frames in order."""

    frames: list[FrameOut]
    next_cursor: str | None


def frame_out(frame: FrameView) -> FrameOut:
    """A stored frame in the contract's words."""
    said = frame.description
    return FrameOut(
        frame_no=frame.frame_no,
        pts=frame.pts,
        ts_ms=frame.ts_ms,
        scene_no=frame.scene_no,
        similarity=frame.similarity,
        description=said
        and DescriptionOut(
            desc_no=said.desc_no,
            start_ms=said.start_ms,
            end_ms=said.end_ms,
            source=said.source,
            model=said.model,
            status=said.status,
            context=said.context,
        ),
    )


@router.get(
    "/{job_id}/frames",
    operation_id="listFrames",
    summary="Frame rows",
    response_model=FramePage,
    responses={
        200: {"content": {kind: {"schema": {"type": "string"}} for kind in (NDJSON, CSV, VTT)}},
        **documented(404, 406, 422, 503),
    },
)
async def frames(
    job_id: JobId,
    request: Request,
    use: Use,
    *,
    from_ms: Ms = None,
    to_ms: Annotated[int | None, Query(ge=0, le=_MAX_MS, description="Up to and including.")] = None,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> FramePage | Response:
    """A page of frames; or, by Accept, all of them as NDJSON or CSV, or their descriptions as WebVTT."""
    job = await use.jobs.get(use.tenant_id, job_id)
    kind = best(request.headers.get("accept"), (JSON, NDJSON, CSV, VTT))
    if kind is None:
        raise HTTPException(406, f"frames come as {JSON}, {NDJSON}, {CSV} or {VTT}")
    if kind != JSON:
        rows = use.frames.export(use.tenant_id, job.id, from_ms=from_ms, to_ms=to_ms)
        return StreamingResponse(_WRITERS[kind](rows), media_type=f"{kind}; charset=utf-8" if kind != NDJSON else kind)
    page = await use.frames.page(use.tenant_id, job.id, limit=limit, cursor=cursor, from_ms=from_ms, to_ms=to_ms)
    return FramePage(frames=[frame_out(row) for row in page.items], next_cursor=page.next_cursor)


async def _ndjson(rows: AsyncIterator[FrameView]) -> AsyncIterator[bytes]:
    async for row in rows:
        yield (frame_out(row).model_dump_json() + "\n").encode()


async def _csv(rows: AsyncIterator[FrameView]) -> AsyncIterator[bytes]:
    yield _csv_line(["frame_no", "pts", "ts_ms", "scene_no", "similarity", "desc_no", "summary", "ocr_text", "context"])
    async for row in rows:
        said = row.description
        context = said.context if said else {}
        text = context.get("ocr_text") or []
        yield _csv_line(
            [
                row.frame_no,
                row.pts,
                row.ts_ms,
                row.scene_no,
                f"{row.similarity:.4f}",
                said.desc_no if said else "",
                _cell(str(context.get("summary") or "")),
                _cell(" | ".join(map(str, text)) if isinstance(text, list) else str(text)),
                json.dumps(context, ensure_ascii=False),
            ]
        )


def _cell(text: str) -> str:
    """Text on screen is a stranger's: a spreadsheet must not take it for a formula (CSV injection)."""
    return "'" + text if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text


def _csv_line(cells: list[Any]) -> bytes:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue().encode()


async def _vtt(rows: AsyncIterator[FrameView]) -> AsyncIterator[bytes]:
    """A cue per description, in the order in which its frames begin."""
    yield b"WEBVTT\n\n"
    last: int | None = None
    async for row in rows:
        said = row.description
        if said is None or said.desc_no == last:
            continue
        last = said.desc_no
        summary = str(said.context.get("summary") or "").strip() or "–"
        # A cue ends at a blank line, and "-->" inside would start another (WebVTT §4.1).
        text = " ".join(summary.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        yield f"{_stamp(said.start_ms)} --> {_stamp(max(said.end_ms, said.start_ms + 1))}\n{text}\n\n".encode()


def _stamp(ms: int) -> str:
    seconds, rest = divmod(ms, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{rest:03}"


_WRITERS: dict[str, Callable[[AsyncIterator[FrameView]], AsyncIterator[bytes]]] = {
    NDJSON: _ndjson,
    CSV: _csv,
    VTT: _vtt,
}


@router.get(
    "/{job_id}/frames/{frame_no}.jpg",
    operation_id="getFramePicture",
    summary="The picture of a frame",
    response_class=Response,
    responses={
        200: {"description": "JPEG", "content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}},
        206: {"description": "Part", "content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}},
        304: {"description": "Not changed since the ETag given"},
        **documented(404, 409, 416, 422, 503),
    },
)
async def picture(job_id: JobId, frame_no: FrameNo, request: Request, use: Use) -> Response:
    """The described frame that this one resembles most."""
    job = await use.jobs.get(use.tenant_id, job_id)
    prefix = published(job)
    frame = await use.frames.get(use.tenant_id, job.id, frame_no)
    if frame.anchor_pts is None:
        raise NotFound(f"frame {frame_no} has no picture")
    key = files.inside(prefix, f"anchors/a_{frame.anchor_pts}.jpg")
    return await files.serve(request, use.blobs, key, cache=files.IMMUTABLE, media_type="image/jpeg")


@router.get(
    "/{job_id}/frames/{frame_no}", operation_id="getFrame", summary="One frame", responses=documented(404, 422, 503)
)
async def frame(job_id: JobId, frame_no: FrameNo, use: Use) -> FrameOut:
    """One row."""
    job = await use.jobs.get(use.tenant_id, job_id)
    return frame_out(await use.frames.get(use.tenant_id, job.id, frame_no))
