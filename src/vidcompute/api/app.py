"""The HTTP application: routers, error handlers and layers, put together once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import BaseRoute, Match

from vidcompute.api import openapi, problems
from vidcompute.api.guard import LoopbackGuard
from vidcompute.api.middleware import BodyLimit, Observe, RequestId, SecurityHeaders
from vidcompute.api.problems import InvalidFields, MalformedBody
from vidcompute.api.routes import dashboard_events, frames, jobs, logs, playback, search, site, system
from vidcompute.api.services import Services
from vidcompute.api.settings import MAX_JSON_BYTES, ApiSettings, EventLog, HttpMetrics
from vidcompute.blobs.base import Blobs
from vidcompute.domain.placement import Node
from vidcompute.errors import VidcomputeError
from vidcompute.queue.base import Queue
from vidcompute.store.feed import EventFeed
from vidcompute.store.frames import FrameStore
from vidcompute.store.jobs import JobStore
from vidcompute.store.search import SearchStore
from vidcompute.store.uploads import UploadStore

#: Players on other origins ask for parts of files; the rest is what the API itself understands and says.
_ASKED_BY_PAGES = (
    *("Content-Type", "Idempotency-Key", "Prefer", "Last-Event-ID", "X-Request-Id"),
    *("Range", "If-Range", "If-None-Match"),
)
_TOLD_TO_PAGES = (
    *("Location", "ETag", "Link", "X-Request-Id", "Retry-After", "Idempotency-Replayed", "Preference-Applied"),
    *("Accept-Ranges", "Content-Range"),
)


def _heads(router: APIRouter) -> APIRouter:
    """HEAD wherever `router` answers GET (RFC 9110 §9.1): the same function, whose body the server leaves out."""
    twins = APIRouter()
    for route in router.routes:
        if isinstance(route, APIRoute) and "GET" in (route.methods or ()):
            twins.add_api_route(
                route.path,
                route.endpoint,
                methods=["HEAD"],
                include_in_schema=False,
                response_model=route.response_model,
                response_class=route.response_class,
            )
    return twins


_DOCUMENTS = (jobs.router, frames.router, search.router, playback.router, system.router, site.router)
#: The live streams have no HEAD: a body that is left out but never ends would block the connection.
ROUTERS: tuple[APIRouter, ...] = (
    *_DOCUMENTS,
    logs.router,
    dashboard_events.router,
    *(_heads(router) for router in _DOCUMENTS),
)
#: The path that takes multipart bodies of any size, within its own limit.
UPLOAD_PATHS = frozenset({"/api/v1/jobs"})


def create_app(
    *,
    jobs: JobStore,
    frames: FrameStore,
    search: SearchStore,
    uploads: UploadStore,
    feed: EventFeed,
    queue: Queue,
    blobs: Blobs,
    nodes: Callable[[], Awaitable[list[Node]]],
    metrics: HttpMetrics,
    metrics_text: Callable[[str], tuple[bytes, str]],
    ready: Callable[[], Awaitable[Mapping[str, str]]],
    settings: ApiSettings,
    clock: Callable[[], datetime],
    stopping: asyncio.Event,
    log: EventLog,
) -> FastAPI:
    """The application over these adapters; it owns none of them and closes none.

    `metrics_text` takes the scraper's Accept header. `ready` maps each dependency to "ok" or to what is
    wrong. `stopping` is to be set before the server is told to stop: open streams end at once then.
    """
    app = bare_app(settings, metrics=metrics, log=log)
    app.state.services = Services(
        jobs=jobs,
        frames=frames,
        search=search,
        uploads=uploads,
        feed=feed,
        queue=queue,
        blobs=blobs,
        nodes=nodes,
        metrics=metrics,
        metrics_text=metrics_text,
        ready=ready,
        settings=settings,
        clock=clock,
        stopping=stopping,
        log=log,
    )
    return app


def bare_app(settings: ApiSettings, *, metrics: HttpMetrics, log: EventLog) -> FastAPI:
    """Routes and layers without the adapters: enough to describe the API."""
    app = FastAPI(
        title="vidcompute",
        version=settings.version,
        # Both are served by `routes.site` from our own files: FastAPI's pages load theirs from elsewhere.
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        # A redirect loses the body of a POST in many clients; one address per thing is enough.
        redirect_slashes=False,
        middleware=_layers(settings, metrics=metrics, log=log),
    )
    for router in ROUTERS:
        app.include_router(router)
    for kind in (VidcomputeError, InvalidFields, MalformedBody, RequestValidationError):
        app.add_exception_handler(kind, problems.on_error)
    app.add_exception_handler(HTTPException, _on_http_error)
    described: dict[str, Any] = {}

    def describe() -> dict[str, Any]:
        if not described:
            described.update(openapi.document(app, version=settings.version))
        return described

    app.openapi = describe  # type: ignore[method-assign]  # FastAPI's documented way to replace its document
    return app


def _layers(settings: ApiSettings, *, metrics: HttpMetrics, log: EventLog) -> list[Middleware]:
    """Outermost first. What an outer layer refuses still has a request id, is counted, and carries safe headers."""
    layers = [
        Middleware(RequestId),
        Middleware(SecurityHeaders, shared=bool(settings.cors_origins)),
        Middleware(Observe, metrics=metrics, log=log),
    ]
    if settings.loopback_keyless:
        layers.append(
            Middleware(LoopbackGuard, allowed_hosts=settings.allowed_hosts, origins=settings.cors_origins),
        )
    if settings.cors_origins:
        layers.append(
            Middleware(
                CORSMiddleware,
                allow_origins=settings.cors_origins,
                allow_methods=["GET", "HEAD", "POST", "DELETE"],
                allow_headers=_ASKED_BY_PAGES,
                expose_headers=_TOLD_TO_PAGES,
            )
        )
    layers.append(Middleware(BodyLimit, max_bytes=MAX_JSON_BYTES, uploads=UPLOAD_PATHS))
    return layers


async def _on_http_error(request: Request, error: Exception) -> Response:
    """As any problem; a 405 names all methods of its path, not those of the last route tried (RFC 9110 §15.5.6)."""
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        methods = _methods(request, [route for router in ROUTERS for route in router.routes])
        error = HTTPException(405, error.detail, {"Allow": ", ".join(sorted(methods))})
    return problems.from_http(request.scope, error)


def _methods(request: Request, routes: list[BaseRoute]) -> set[str]:
    """Methods of the first template that fits the path: `/jobs/counts` is not a job called counts."""
    fitting = [route for route in routes if route.matches(request.scope)[0] is not Match.NONE]
    template = getattr(fitting[0], "path", None) if fitting else None
    return {
        method
        for route in fitting
        if getattr(route, "path", None) == template
        for method in getattr(route, "methods", None) or ()
    }
