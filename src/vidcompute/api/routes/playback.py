"""The published result: playlists, segments, the manifest, downloads, and signed objects of the local store."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from vidcompute.api import files
from vidcompute.api.problems import documented
from vidcompute.api.routes.jobs import JobId
from vidcompute.api.services import Services, Use, VerifiesUrls
from vidcompute.api.views import DownloadList, DownloadOut
from vidcompute.domain.job import Job
from vidcompute.errors import Conflict, Forbidden, NotReady

router = APIRouter(tags=["playback"])

_FILE_DOC: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file", "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}},
    206: {"description": "The bytes asked for", "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}},
    304: {"description": "Not changed since the ETag given"},
}
#: Named by what is in them; the rest may be rewritten by the next publication.
_IMMUTABLE_ENDINGS = (".m4s", ".mp4", ".jpg")


def published(job: Job) -> str:
    """The prefix of what readers may see. Raises NotReady, or Conflict if there will never be anything by itself."""
    if job.published:
        return job.published.rstrip("/")
    if job.status.terminal:
        raise Conflict(
            f"job {job.id} {job.status} without a result",
            hint="Look at its error, then retry it: `vidctl retry ID`.",
        )
    raise NotReady(f"job {job.id} is {job.status}: nothing is published yet")


async def published_file(request: Request, use: Services, job_id: str, path: str) -> Response:
    """One file of a job's result."""
    prefix = published(await use.jobs.get(use.tenant_id, job_id))
    key = files.inside(prefix, path)
    cache = files.IMMUTABLE if path.endswith(_IMMUTABLE_ENDINGS) else files.REVALIDATE
    return await files.serve(request, use.blobs, key, cache=cache, media_type=files.content_type(path))


@router.get(
    "/api/v1/jobs/{job_id}/hls/{path:path}",
    operation_id="getStreamFile",
    summary="A playlist, segment or side file",
    response_class=Response,
    responses={**_FILE_DOC, **documented(404, 409, 416, 422, 503)},
)
async def stream_file(
    job_id: JobId, path: Annotated[str, Path(examples=["master.m3u8"])], request: Request, use: Use
) -> Response:
    """`master.m3u8` (HLS) and `manifest.mpd` (DASH) name all the others."""
    return await published_file(request, use, job_id, path)


@router.get(
    "/api/v1/jobs/{job_id}/manifest.json",
    operation_id="getManifest",
    summary="What was published, as data",
    response_class=Response,
    responses={
        200: {"description": "The manifest", "content": {"application/json": {"schema": {"type": "object"}}}},
        206: _FILE_DOC[206],
        304: _FILE_DOC[304],
        **documented(404, 409, 416, 422, 503),
    },
)
async def manifest(job_id: JobId, request: Request, use: Use) -> Response:
    """Renditions, segments and sizes."""
    return await published_file(request, use, job_id, "manifest.json")


@router.get(
    "/api/v1/jobs/{job_id}/downloads",
    operation_id="listDownloads",
    summary="Pre-signed URLs of all files",
    responses=documented(404, 409, 422, 503),
)
async def downloads(job_id: JobId, use: Use) -> DownloadList:
    """Every file of the result with a URL that works without credentials for an hour."""
    prefix = published(await use.jobs.get(use.tenant_id, job_id)) + "/"
    valid_s = use.settings.signed_url_s
    found = [
        DownloadOut(
            name=(name := blob.key.removeprefix(prefix)),
            bytes=blob.size_bytes,
            content_type=files.content_type(name),
            url=use.blobs.signed_url(blob.key, expires_s=valid_s, filename=name.rpartition("/")[2]),
        )
        async for blob in use.blobs.list(prefix)
    ]
    return DownloadList(
        files=found,
        total_bytes=sum(item.bytes for item in found),
        expires_at=use.clock() + timedelta(seconds=valid_s),
    )


@router.get(
    "/blobs/{key:path}",
    operation_id="getSignedObject",
    summary="An object of the local store, by signed URL",
    response_class=Response,
    responses={**_FILE_DOC, **documented(403, 404, 416, 422, 503)},
)
async def signed_object(key: str, request: Request, use: Use) -> Response:
    """Serves what `downloads` and others signed; nothing else."""
    query = dict(request.query_params)
    store = use.blobs
    # HEAD shows less than GET: a signature for GET covers it.
    if not isinstance(store, VerifiesUrls) or not store.verify("GET", key, query):
        raise Forbidden("the signature of this URL is missing, wrong or expired", hint="Ask for a new URL.")
    return await files.serve(
        request,
        store,
        key,
        cache=files.REVALIDATE,
        media_type=files.content_type(key),
        filename=query.get("filename"),
    )
