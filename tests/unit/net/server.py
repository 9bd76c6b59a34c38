"""A small HTTP server on the loopback with every bad habit that a fetch meets."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

BODY = bytes(range(256)) * 4096
TAG = f'"{hashlib.sha256(BODY).hexdigest()[:16]}"'

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Server:
    """`at(path)` is its URL; `requests` what was asked: (path, Range header)."""

    port: int = 0
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def at(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"


async def whole(_: web.Request) -> web.StreamResponse:
    return web.Response(body=BODY, content_type="video/mp4")


async def chunked(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    response.enable_chunked_encoding()
    await response.prepare(request)
    await response.write(BODY)
    await response.write_eof()
    return response


def breaking(*, tag: str | None, ranges: bool = True, other_tag_later: bool = False) -> Handler:
    """Breaks each answer off after 300 000 bytes; goes on from there if asked and `ranges`."""
    asked = 0

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        start = 0
        version = '"other"' if other_tag_later and asked > 1 else tag
        headers = {"ETag": version} if version else {}
        if ranges and "Range" in request.headers and request.headers.get("If-Range") == version:
            start = int(request.headers["Range"].removeprefix("bytes=").rstrip("-"))
            headers["Content-Range"] = f"bytes {start}-{len(BODY) - 1}/{len(BODY)}"
        headers["Content-Length"] = str(len(BODY) - start)
        response = web.StreamResponse(status=206 if start else 200, headers=headers)
        await response.prepare(request)
        await response.write(BODY[start : start + 300_000])
        if start + 300_000 < len(BODY):
            assert request.transport is not None
            request.transport.close()
        return response

    return handler


async def silent(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "10"})
    await response.prepare(request)
    await response.write(b"12345")
    await asyncio.Event().wait()
    return response


async def redirect(request: web.Request) -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": request.query["to"]})


async def loop(_: web.Request) -> web.StreamResponse:
    return web.Response(status=307, headers={"Location": "/loop"})


async def status(request: web.Request) -> web.StreamResponse:
    return web.Response(status=int(request.match_info["code"]))


async def compressed(_: web.Request) -> web.StreamResponse:
    return web.Response(body=b"x", headers={"Content-Encoding": "gzip"})


async def cookie(_: web.Request) -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": "/whole", "Set-Cookie": "id=1; Path=/"})


ROUTES: dict[str, Callable[[], Handler]] = {
    "/whole": lambda: whole,
    "/chunked": lambda: chunked,
    "/breaks": lambda: breaking(tag=TAG),
    "/breaks-without-tag": lambda: breaking(tag=None),
    "/breaks-weak-tag": lambda: breaking(tag=f"W/{TAG}"),
    "/breaks-without-ranges": lambda: breaking(tag=TAG, ranges=False),
    "/breaks-and-changes": lambda: breaking(tag=TAG, other_tag_later=True),
    "/silent": lambda: silent,
    "/redirect": lambda: redirect,
    "/loop": lambda: loop,
    "/status/{code}": lambda: status,
    "/compressed": lambda: compressed,
    "/cookie": lambda: cookie,
}


@asynccontextmanager
async def running() -> AsyncIterator[Server]:
    server = Server()

    @web.middleware
    async def record(request: web.Request, handler: Handler) -> web.StreamResponse:
        server.requests.append((request.path, request.headers.get("Range")))
        server.headers.append(dict(request.headers))
        return await handler(request)

    app = web.Application(middlewares=[record])
    for path, make in ROUTES.items():
        app.router.add_get(path, make())
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.port = runner.addresses[0][1]
    try:
        yield server
    finally:
        await runner.cleanup()
