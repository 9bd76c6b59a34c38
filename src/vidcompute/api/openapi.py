"""The OpenAPI 3.1 document: what FastAPI derives, corrected where it is wrong about our errors."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from vidcompute.api.problems import ProblemOut
from vidcompute.api.schemas import JobOptions, JobRequest

DESCRIPTION = """
Submit a video; get adaptive streaming (HLS and DASH from one set of files) and a searchable description of every frame.

Errors are `application/problem+json` (RFC 9457) with a stable `code`, a `hint` and the `request_id` of the log.
"""

TAGS = [
    {"name": "jobs", "description": "Submit, follow, stop and repeat work."},
    {"name": "frames", "description": "What was seen, frame by frame."},
    {"name": "search", "description": "Find the moment."},
    {"name": "playback", "description": "The published streams and files."},
    {"name": "system", "description": "Machines, queue, dead letters."},
    {"name": "service", "description": "Health, version, explanations."},
]

#: Models that only hand-written parts refer to.
_EXTRA: tuple[type[BaseModel], ...] = (ProblemOut, JobRequest, JobOptions)
_REF = "#/components/schemas/{model}"


def document(app: FastAPI, *, version: str) -> dict[str, Any]:
    """The document of `app`, with every problem response as the problem it is."""
    found = get_openapi(
        title="vidcompute",
        version=version,
        summary="Video in; streams and searchable frames out.",
        description=DESCRIPTION.strip(),
        routes=app.routes,
        tags=TAGS,
        openapi_version="3.1.0",
    )
    schemas: dict[str, Any] = found.setdefault("components", {}).setdefault("schemas", {})
    # FastAPI promises its own error body for each validated parameter; ours are problems.
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    _, extra = models_json_schema([(model, "validation") for model in _EXTRA], ref_template=_REF)
    for name, schema in extra["$defs"].items():
        schemas["Problem" if name == ProblemOut.__name__ else name] = schema
    for path in found["paths"].values():
        for operation in path.values():
            _correct(operation)
    return found


def _correct(operation: dict[str, Any]) -> None:
    """Drops FastAPI's own 422, and says that any operation may meet a bug."""
    responses = operation["responses"]
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    if "application/json" in responses.get("422", {}).get("content", {}):
        responses["422"] = {"description": "Unprocessable Content", "content": problem}
    for status, text in (("403", "Refused"), ("500", "Internal Server Error")):
        responses.setdefault(status, {"description": text, "content": problem})
