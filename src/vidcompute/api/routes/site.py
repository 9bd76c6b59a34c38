"""What lies beside the API: pages, health, metrics, version, problem pages."""

from __future__ import annotations

import asyncio
from html import escape
from http import HTTPStatus
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Request, Response
from fastapi import Path as PathParam
from pydantic import BaseModel, Field
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse

from vidcompute import errors
from vidcompute.api.problems import documented, http_codes
from vidcompute.api.services import Services, Use
from vidcompute.errors import NotFound, VidcomputeError

router = APIRouter(tags=["service"])

#: Names carry a hash of the content (web build), so they never change.
_HASHED = "public, max-age=31536000, immutable"


class VersionOut(BaseModel):
    """What is running."""

    version: str
    build: dict[str, str]


class HealthOut(BaseModel):
    """Whether the process lives."""

    status: str = Field(examples=["ok"])


class ReadyOut(BaseModel):
    """Whether each dependency answers: "ok" or what is wrong."""

    ready: bool
    checks: dict[str, str]


@router.get("/healthz", operation_id="health", summary="Alive")
async def healthz() -> HealthOut:
    """Answers as long as the process can answer at all."""
    return HealthOut(status="ok")


@router.get(
    "/readyz",
    operation_id="ready",
    summary="Ready for work",
    responses={503: {"model": ReadyOut, "description": "Not ready"}},
)
async def readyz(use: Use, response: Response) -> ReadyOut:
    """Asks the database, the queue and the store."""
    checks = {"service": "stopping"} if use.stopping.is_set() else dict(await use.ready())
    ready = all(state == "ok" for state in checks.values())
    if not ready:
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
    return ReadyOut(ready=ready, checks=checks)


@router.get("/version", operation_id="version", summary="Version")
async def version(use: Use) -> VersionOut:
    """Version of the service and of what it is built on."""
    return VersionOut(version=use.settings.version, build=dict(use.settings.build))


@router.get("/metrics", include_in_schema=False)
async def metrics(request: Request, use: Use) -> Response:
    """For Prometheus."""
    body, media_type = use.metrics_text(request.headers.get("accept", ""))
    return Response(body, headers={"Content-Type": media_type, "Cache-Control": "no-store"})


@router.get(
    "/problems/{code}",
    operation_id="explainProblem",
    summary="What a problem code means",
    response_class=HTMLResponse,
    responses=documented(404, 422),
)
async def explain(code: Annotated[str, PathParam(pattern=r"^[a-z_]{1,64}$")]) -> HTMLResponse:
    """The page that a problem's `type` points to."""
    kind = _kinds(VidcomputeError).get(code)
    if kind is not None:
        retried = "It is retried by itself." if kind.retryable else "It is not retried by itself."
        return _explained(code, kind.title, (kind.__doc__ or "").strip(), kind.default_hint, retried)
    if code in (known := http_codes()):
        title, hint = known[code]
        return _explained(code, title, "the request did not reach what it was for.", hint)
    raise NotFound(f"no problem is called {code!r}", hint="See docs/runbook.md for all codes.")


def _explained(code: str, title: str, meaning: str, *advice: str) -> HTMLResponse:
    paragraphs = "".join(f"<p>{escape(text)}</p>" for text in advice)
    return HTMLResponse(
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(code)}</title>"
        f"<h1>{escape(title)}</h1><p><code>{escape(code)}</code>: {escape(meaning)}</p>{paragraphs}</html>"
    )


def _kinds(root: type[VidcomputeError]) -> dict[str, type[VidcomputeError]]:
    found = {root.code: root}
    for child in root.__subclasses__():
        found = {**_kinds(child), **found}
    return found


@router.get("/", include_in_schema=False)
async def root() -> RedirectResponse:
    """A person who types the address wants the dashboard."""
    return RedirectResponse("/dashboard/")


@router.get("/dashboard", include_in_schema=False)
async def dashboard_slash() -> RedirectResponse:
    """Relative links of the page need the slash."""
    return RedirectResponse("/dashboard/")


@router.get("/docs", include_in_schema=False)
async def docs_slash() -> RedirectResponse:
    """Relative links of the page need the slash."""
    return RedirectResponse("/docs/")


@router.get("/dashboard/{path:path}", include_in_schema=False)
async def dashboard(path: str, use: Use) -> Response:
    """A built file, or the page itself for the page's own routes."""
    root = _built(use)
    file = await asyncio.to_thread(_inside, root, path)
    if file is not None:
        return FileResponse(file, headers={"Cache-Control": _HASHED if path.startswith("assets/") else "no-cache"})
    if "." in path.rpartition("/")[2]:
        # A missing script must be a 404: as HTML it would be a riddle in the browser's console.
        raise NotFound(f"the dashboard has no file {path[:100]!r}")
    return _page(root / "index.html")


@router.get("/docs/{path:path}", include_in_schema=False)
async def docs(path: str, use: Use) -> Response:
    """Swagger UI, from here: nothing is loaded from elsewhere."""
    root = _built(use) / "swagger"
    file = await asyncio.to_thread(_inside, root, path or "index.html")
    if file is None:
        raise NotFound(f"the API documentation has no file {path[:100]!r}")
    return _page(file) if file.suffix == ".html" else FileResponse(file, headers={"Cache-Control": "no-cache"})


def _built(use: Services) -> Path:
    web_dir = use.settings.web_dir
    if web_dir is None or not (web_dir / "index.html").is_file():
        raise errors.NotConfigured("the dashboard was not built", hint="Run `make web` and start the service again.")
    return web_dir


def _page(file: Path) -> FileResponse:
    return FileResponse(file, headers={"Cache-Control": "no-cache"}, media_type="text/html; charset=utf-8")


def _inside(root: Path, path: str) -> Path | None:
    """The file `path` below `root`, links resolved; None for anything else."""
    if not path or "\x00" in path:
        return None
    try:
        file = (root / path).resolve(strict=True)
    except (OSError, ValueError):
        return None
    return file if file.is_file() and file.is_relative_to(root.resolve()) else None
