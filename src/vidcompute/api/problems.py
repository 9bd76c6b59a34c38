"""Errors as RFC 9457 problems: the one table from the error tree to HTTP."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from vidcompute import errors
from vidcompute.errors import Problem, VidcomputeError

MEDIA_TYPE = "application/problem+json"

#: The nearest class of the error's own ancestry decides; anything outside the tree is a 500.
STATUS: dict[type[VidcomputeError], HTTPStatus] = {
    errors.InvalidInput: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.LimitExceeded: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.Conflict: HTTPStatus.CONFLICT,
    # The key is fine and so is the state; it is the request that does not match (Idempotency-Key draft, §2.7).
    errors.IdempotencyConflict: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.Canceled: HTTPStatus.CONFLICT,
    errors.LeaseLost: HTTPStatus.CONFLICT,
    errors.Forbidden: HTTPStatus.FORBIDDEN,
    errors.NotConfigured: HTTPStatus.NOT_IMPLEMENTED,
    errors.Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.SandboxUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.StorageFull: HTTPStatus.INSUFFICIENT_STORAGE,
    VidcomputeError: HTTPStatus.INTERNAL_SERVER_ERROR,
}

#: What the framework itself says: code and what to do.
_FRAMEWORK: dict[int, tuple[str, str]] = {
    400: ("malformed_request", "Send a well-formed request; see /docs for its form."),
    404: ("no_such_route", "See /docs for the routes there are."),
    405: ("method_not_allowed", "Use one of the methods in the Allow header."),
    406: ("not_acceptable", "Ask for one of the media types named above in the Accept header."),
    413: ("limit_exceeded", errors.LimitExceeded.default_hint),
    415: ("unsupported_content_type", "Send application/json, or multipart/form-data with `spec` and `file`."),
    416: ("range_not_satisfiable", "Ask for a range within the size given in Content-Range."),
}

_FIELDS_HINT = "Correct the fields named in `errors` and send it again; see /docs for the schema."
_MALFORMED = (
    "malformed_body",
    "The body cannot be read",
    "Send a JSON object, or multipart/form-data with `spec` and `file`.",
)
_INVALID_REQUEST = "invalid_request"

#: Seconds after which a refused caller may usefully come back.
_RETRY_AFTER_S = 5


class FieldError(BaseModel):
    """One field that is wrong."""

    pointer: str = Field(description="JSON pointer (RFC 6901) into the body, or the name of a parameter.")
    msg: str


class ProblemOut(BaseModel):
    """RFC 9457 problem details."""

    type: str = Field(description="Path of a page that explains the code.", examples=["/problems/not_found"])
    title: str
    status: int
    detail: str
    instance: str = Field(description="Path of the request.")
    code: str = Field(description="Stable, for programs.", examples=["not_found"])
    hint: str = Field(description="What to do next.")
    request_id: str
    errors: list[FieldError] = Field(default=[], description="The fields that are wrong.")


class ProblemResponse(Response):
    """A problem, never cached."""

    media_type = MEDIA_TYPE

    def __init__(self, body: ProblemOut, *, headers: Mapping[str, str] | None = None) -> None:
        """The status of the response is the one in `body`."""
        content = json.dumps(body.model_dump(mode="json"), ensure_ascii=False).encode("utf-8", "replace")
        super().__init__(content, body.status, {"Cache-Control": "no-store", **(headers or {})})


class InvalidFields(Exception):
    """Several fields of a request are wrong at once: InvalidJobSpec in the plural, known to HTTP only."""

    def __init__(self, fields: Sequence[FieldError], *, code: str = errors.InvalidJobSpec.code) -> None:
        """`fields` is not empty."""
        super().__init__("; ".join(f"{field.pointer}: {field.msg}" if field.pointer else field.msg for field in fields))
        self.fields = list(fields)
        self.code = code

    def problem(self) -> Problem:
        """This error as data; the fields travel beside it."""
        return Problem(self.code, errors.InvalidInput.title, str(self), _FIELDS_HINT, retryable=False)


class MalformedBody(Exception):
    """The body of a request is not JSON (or not multipart) at all."""

    def problem(self) -> Problem:
        """This error as data."""
        code, title, hint = _MALFORMED
        return Problem(code, title, f"The body cannot be read: {self}", hint, retryable=False)


def http_codes() -> dict[str, tuple[str, str]]:
    """Title and hint of every code that is HTTP's business only, and so has no class in the error tree."""
    framework = {code: (HTTPStatus(status).phrase, hint) for status, (code, hint) in _FRAMEWORK.items()}
    code, title, hint = _MALFORMED
    return {**framework, code: (title, hint), _INVALID_REQUEST: (errors.InvalidInput.title, _FIELDS_HINT)}


def status_of(error: VidcomputeError) -> HTTPStatus:
    """The HTTP status of an error of the tree."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def request_id(scope: Mapping[str, Any]) -> str:
    """The id that the middleware gave to this request."""
    return str(scope.get("vidcompute.request_id", ""))


def respond(
    scope: Mapping[str, Any],
    problem: Problem,
    *,
    status: int,
    fields: Sequence[FieldError] = (),
    headers: Mapping[str, str] | None = None,
) -> ProblemResponse:
    """`problem` as the response to the request in `scope`."""
    body = ProblemOut(
        type=f"/problems/{problem.code}",
        title=problem.title,
        status=status,
        detail=problem.detail,
        instance=str(scope.get("path", "")),
        code=problem.code,
        hint=problem.hint,
        request_id=request_id(scope),
        errors=list(fields),
    )
    extra = {"Retry-After": str(_RETRY_AFTER_S)} if status in {429, 503} else {}
    return ProblemResponse(body, headers={**extra, **(headers or {})})


def from_error(scope: Mapping[str, Any], error: VidcomputeError) -> ProblemResponse:
    """An error of the tree as a response."""
    fields = []
    if isinstance(error, errors.InvalidJobSpec) and error.pointer:
        fields.append(FieldError(pointer=error.pointer, msg=error.detail))
    return respond(scope, error.problem(), status=status_of(error), fields=fields)


def from_bug(scope: Mapping[str, Any]) -> ProblemResponse:
    """The response to an exception outside the tree: nothing of it is shown."""
    bug = VidcomputeError("An unexpected error; it was logged with this request id.")
    return respond(scope, bug.problem(), status=HTTPStatus.INTERNAL_SERVER_ERROR)


def from_http(scope: Mapping[str, Any], error: HTTPException) -> Response:
    """What the framework raised, as a problem; a redirect or 204 stays as it is."""
    if error.status_code < HTTPStatus.BAD_REQUEST:
        return Response(status_code=error.status_code, headers=error.headers)
    phrase = HTTPStatus(error.status_code).phrase
    code, hint = _FRAMEWORK.get(error.status_code, (phrase.lower().replace(" ", "_"), "See /docs."))
    detail = str(error.detail or phrase)
    if detail == phrase:
        detail = f"{scope.get('method', 'GET')} {scope.get('path', '')}: {phrase.lower()}"
    problem = Problem(code, phrase, detail, hint, retryable=False)
    return respond(scope, problem, status=error.status_code, headers=error.headers)


def field_errors(found: Sequence[Mapping[str, Any]], *, skip: int = 0) -> list[FieldError]:
    """Pydantic's errors as pointers and sentences; `skip` leading parts of each location are dropped."""
    fields = []
    for item in found:
        parts = [str(part) for part in item["loc"]][skip:]
        if parts[1:] and parts[-1] == "[key]":
            # So pydantic says that the key itself is wrong: no part of a JSON pointer.
            parts.pop()
        pointer = "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)
        fields.append(FieldError(pointer=pointer, msg=_sentence(item, parts)))
    return fields


def _sentence(item: Mapping[str, Any], parts: Sequence[str]) -> str:
    if item["type"] == "extra_forbidden":
        return f"unknown field {parts[-1]!r}" if parts else "unknown field"
    if item["type"] == "missing":
        return "is required"
    return str(item["msg"]).removeprefix("Value error, ")


def from_validation(scope: Mapping[str, Any], error: RequestValidationError) -> ProblemResponse:
    """Parameters that do not fit: 422 with every field; a body that is not JSON: 400."""
    found = error.errors()
    if any(item["type"] == "json_invalid" for item in found):
        malformed = MalformedBody(str(found[0].get("ctx", {}).get("error", "not JSON")))
        return respond(scope, malformed.problem(), status=400)
    # The first part of a location says where: path, query, header, body. A pointer starts after it.
    return from_fields(scope, InvalidFields(field_errors(found, skip=1), code=_INVALID_REQUEST))


def from_fields(scope: Mapping[str, Any], error: InvalidFields) -> ProblemResponse:
    """Fields that are wrong: 422."""
    return respond(scope, error.problem(), status=422, fields=error.fields)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI `responses` for problems with these statuses."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}


async def on_error(request: Request, error: Exception) -> Response:
    """Exception handler for everything that has a place in the table."""
    match error:
        case VidcomputeError():
            return from_error(request.scope, error)
        case InvalidFields():
            return from_fields(request.scope, error)
        case MalformedBody():
            return respond(request.scope, error.problem(), status=400)
        case RequestValidationError():
            return from_validation(request.scope, error)
        case HTTPException():
            return from_http(request.scope, error)
        case _:
            raise error
