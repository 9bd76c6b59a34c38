"""Taking in a job: JSON, or multipart that streams the file straight into the blob store."""

from __future__ import annotations

import hashlib
import re
import uuid
from contextlib import suppress
from dataclasses import dataclass

from fastapi import Request
from starlette.exceptions import HTTPException

from vidcompute import wire
from vidcompute.api.multipart import Multipart, Part
from vidcompute.api.problems import FieldError, InvalidFields
from vidcompute.api.schemas import JobOptions, JobRequest, parse_body
from vidcompute.api.services import Services
from vidcompute.api.settings import MAX_JSON_BYTES
from vidcompute.blobs.base import BlobInfo
from vidcompute.domain.job import JobSpec
from vidcompute.errors import InvalidJobSpec, LimitExceeded, NotFound

_CONTROL = re.compile(r"[\x00-\x1f\x7f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
#: Room for boundaries, headers and the spec beside the file, when only the whole length is declared.
_MULTIPART_SLACK_BYTES = 2 * MAX_JSON_BYTES


@dataclass(frozen=True, slots=True)
class Submission:
    """A spec ready for the store. `body_hash` tells a repeated request from another one under the same key."""

    spec: JobSpec
    name: str
    body_hash: str
    upload: Upload | None


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that was taken in with the submission."""

    id: str
    name: str
    blob: BlobInfo


def display_name(raw: str | None, *, default: str) -> str:
    """The last part of a path or URL as a name for people. Metadata only: it never becomes a path."""
    text = re.split(r"[/\\]", _CONTROL.sub("", raw or "").split("?")[0].split("#")[0].rstrip("/\\"))[-1]
    return text.strip()[:255] or default


async def read_submission(request: Request, services: Services) -> Submission:
    """The request's job. Raises InvalidFields, LimitExceeded, MalformedBody; HTTPException 415."""
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return await _from_multipart(request, services)
    if kind and kind != "application/json" and not kind.endswith("+json"):
        raise HTTPException(415, f"content of type {kind[:100]!r} is not understood here")
    asked = parse_body(JobRequest, await request.body())
    spec = asked.to_domain(asked.input, max_attempts=services.settings.max_attempts)
    name = spec.name or display_name(asked.input.removeprefix("upload:"), default="video")
    return Submission(spec, name, _hash(spec, ""), None)


async def _from_multipart(request: Request, services: Services) -> Submission:
    declared = request.headers.get("content-length", "")
    limit = services.settings.max_upload_bytes
    if declared.isdecimal() and int(declared) > limit + _MULTIPART_SLACK_BYTES:
        raise LimitExceeded(f"the upload is larger than {limit} bytes (MAX_UPLOAD_BYTES)")
    form = _Form()
    try:
        async for part in Multipart(request.headers["content-type"], request.stream()).parts():
            await form.take(part, services)
        return form.submission(services)
    except BaseException:
        # Whatever went wrong, a file without a job would stay for ever.
        if form.upload is not None:
            await discard(services, form.upload)
        raise


@dataclass(slots=True)
class _Form:
    """The parts seen so far, in either order."""

    options: JobOptions | None = None
    upload: Upload | None = None

    async def take(self, part: Part, services: Services) -> None:
        """One part, read to its end."""
        match part.name:
            case "spec" if self.options is None:
                self.options = parse_body(JobOptions, await part.read(max_bytes=MAX_JSON_BYTES))
            case "file" if self.upload is None:
                self.upload = await _store(part, services)
            case "spec" | "file":
                raise _wrong_part(part.name, "is there more than once")
            case _:
                raise _wrong_part(part.name[:100], "is not one of `spec`, `file`")

    def submission(self, services: Services) -> Submission:
        """All of it. Raises InvalidFields if there is no file."""
        if self.upload is None:
            raise _wrong_part("file", "is required")
        options, upload = self.options or JobOptions(), self.upload
        spec = options.to_domain(f"upload:{upload.id}", max_attempts=services.settings.max_attempts)
        return Submission(spec, spec.name or upload.name, _hash(spec, upload.blob.sha256 or ""), upload)


async def _store(part: Part, services: Services) -> Upload:
    upload_id = uuid.uuid4().hex
    key = f"{services.tenant_id}/uploads/{upload_id}"
    limit = services.settings.max_upload_bytes
    blob = await services.blobs.put_stream(key, part.chunks(), max_bytes=limit)
    upload = Upload(upload_id, display_name(part.filename, default="upload"), blob)
    if blob.size_bytes == 0:
        await discard(services, upload)
        raise InvalidJobSpec("the file is empty", pointer="/file", hint="Send a video file with something in it.")
    return upload


async def record(services: Services, upload: Upload) -> None:
    """The row of a file that is there whole."""
    await services.uploads.create(
        tenant_id=services.tenant_id, upload_id=upload.id, name=upload.name, key=upload.blob.key
    )
    await services.uploads.complete(
        services.tenant_id, upload.id, size_bytes=upload.blob.size_bytes, sha256=upload.blob.sha256
    )


async def discard(services: Services, upload: Upload) -> None:
    """Forget a file that no job took."""
    with suppress(NotFound):
        await services.uploads.delete(services.tenant_id, upload.id)
    await services.blobs.delete(upload.blob.key)


def _wrong_part(name: str, what: str) -> InvalidFields:
    return InvalidFields([FieldError(pointer=f"/{name}", msg=f"the part {name!r} {what}")])


def _hash(spec: JobSpec, file_sha256: str) -> str:
    """Two submissions are the same if their specs and files are; the upload's id is ours and does not count."""
    plain = wire.plain(spec)
    if file_sha256:
        plain["input"] = f"sha256:{file_sha256}"
    return hashlib.sha256(wire.dumps(plain)).hexdigest()
