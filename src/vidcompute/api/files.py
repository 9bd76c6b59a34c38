"""Stored objects over HTTP: conditional requests and byte ranges (RFC 9110 §13, §14)."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator
from http import HTTPStatus
from urllib.parse import quote

from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.responses import Response, StreamingResponse

from vidcompute.blobs.base import BlobInfo, Blobs
from vidcompute.errors import NotFound

#: `private`: a shared cache must not hold what one tenant may read.
IMMUTABLE = "private, max-age=31536000, immutable"
REVALIDATE = "private, no-cache"

#: Only what the packager makes has a type; everything else is bytes to be saved, never rendered.
CONTENT_TYPES: dict[str, str] = {
    ".m3u8": "application/vnd.apple.mpegurl",
    ".mpd": "application/dash+xml",
    ".mp4": "video/mp4",
    ".m4s": "video/iso.segment",
    ".vtt": "text/vtt; charset=utf-8",
    ".json": "application/json",
    ".jpg": "image/jpeg",
}
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
#: One path inside a published result. No dot at the start of a name, so no `..`.
_SAFE_PATH = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_-][A-Za-z0-9_.-]*){0,3}")


def content_type(name: str) -> str:
    """By the name's ending; application/octet-stream if it is not one of ours."""
    return CONTENT_TYPES.get("." + name.rpartition(".")[2], "application/octet-stream")


def inside(prefix: str, path: str) -> str:
    """The key of `path` below `prefix`. Raises NotFound for anything but plain names."""
    if len(path) > 512 or not _SAFE_PATH.fullmatch(path):
        raise NotFound(f"no file {path[:100]!r} in this result")
    return f"{prefix.rstrip('/')}/{path}"


def byte_range(value: str | None, size_bytes: int) -> tuple[int, int] | None:
    """[start, end) of a Range header, None for the whole. Raises HTTPException 416 if nothing of it exists.

    Several ranges, other units and nonsense are ignored, as RFC 9110 §14.2 allows.
    """
    match = _RANGE.fullmatch(value.strip()) if value else None
    if match is None or not (match[1] or match[2]) or len(match[0]) > 64:
        return None
    if not match[1]:
        start, end = max(0, size_bytes - int(match[2])), size_bytes
    else:
        start, end = int(match[1]), min(int(match[2]) + 1 if match[2] else size_bytes, size_bytes)
        if match[2] and int(match[2]) < start:
            return None
    if start >= end:
        headers = {"Content-Range": f"bytes */{size_bytes}"}
        raise HTTPException(416, f"the object has {size_bytes} bytes", headers)
    return start, end


def matches(header: str | None, etag: str) -> bool:
    """Whether an If-None-Match header names `etag` (weak comparison)."""
    if not header:
        return False
    tags = [tag.strip().removeprefix("W/") for tag in header.split(",")]
    return "*" in tags or etag.removeprefix("W/") in tags


async def serve(
    request: Request, blobs: Blobs, key: str, *, cache: str, media_type: str, filename: str | None = None
) -> Response:
    """The object `key` as the answer to `request`: 200, 206, 304 or 416. Raises NotFound."""
    info = await blobs.head(key)
    if info is None:
        raise NotFound(f"no file {key.rpartition('/')[2]!r} in this result")
    etag = f'"{info.etag.strip(chr(34))}"'
    headers = {"ETag": etag, "Cache-Control": cache, "Accept-Ranges": "bytes"}
    if filename is not None:
        headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(filename, safe='')}"
    if matches(request.headers.get("if-none-match"), etag):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    # If-Range: a range of another version of the object would be spliced onto the client's half.
    wanted = request.headers.get("range") if request.headers.get("if-range", etag) == etag else None
    span = byte_range(wanted, info.size_bytes)
    start, end = span or (0, info.size_bytes)
    headers["Content-Length"] = str(end - start)
    if span:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{info.size_bytes}"
    status = HTTPStatus.PARTIAL_CONTENT if span else HTTPStatus.OK
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=media_type)
    return StreamingResponse(_stream(blobs, info, start, end), status, headers, media_type)


async def _stream(blobs: Blobs, info: BlobInfo, start: int, end: int) -> AsyncIterator[bytes]:
    stream = blobs.open_stream(info.key, start=start, end=end)
    try:
        async for chunk in stream:
            yield chunk
    finally:
        # A reader that went away must not keep the file open until the collector comes.
        if isinstance(stream, AsyncGenerator):
            await stream.aclose()
