"""Pure ASGI layers around every request: identity, metrics, recovery, headers, size.

None of them buffers a body, so streams pass at the speed of their reader.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vidcompute.api import problems
from vidcompute.api.settings import EventLog, HttpMetrics

#: Nothing that could break out of a log line or a header.
_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

#: Pages of our own: scripts and styles from this origin only; hls.js runs its demuxer in a blob worker
#: and feeds <video> from blob URLs.
PAGE_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; "
    "media-src 'self' blob:; connect-src 'self'; worker-src 'self' blob:; manifest-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
#: Everything else is data: should a browser ever render it, nothing in it may run.
DATA_CSP = "default-src 'none'; frame-ancestors 'none'; sandbox"


def header(scope: Scope, name: bytes) -> str | None:
    """The first value of a request header (`name` in lower case), or None."""
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), None)


class RequestId:
    """Every request has an id: the caller's if it is sane, ours otherwise; echoed and logged."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        given = header(scope, b"x-request-id") or ""
        request_id = given if _SANE_ID.fullmatch(given) else uuid.uuid4().hex
        scope["vidcompute.request_id"] = request_id

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        return await self.app(scope, receive, send_with_id)


class Observe:
    """Counts each request by route template and turns bugs into problems with the traceback in the log."""

    def __init__(
        self, app: ASGIApp, *, metrics: HttpMetrics, log: EventLog, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.app = app
        self.metrics = metrics
        self.log = log
        self.clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        started_s = self.clock()
        status = 0

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, watch)
        except Exception:
            self.log.exception(
                "http.bug", request_id=problems.request_id(scope), method=scope["method"], path=scope["path"]
            )
            if status:
                # Half a response is out: only a broken connection tells the client that it is not whole.
                raise
            status = 500
            await problems.from_bug(scope)(scope, receive, send)
        finally:
            self.metrics.observe(
                method=_known(scope["method"]), route=_route(scope), status=status, seconds=self.clock() - started_s
            )


def _known(method: str) -> str:
    """The method as a label: a stranger's invention must not become a time series of its own."""
    return method if method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} else "OTHER"


def _route(scope: Scope) -> str:
    return str(getattr(scope.get("route"), "path", "unmatched"))


class SecurityHeaders:
    """Says to browsers what this origin's responses may be used for."""

    def __init__(self, app: ASGIApp, *, shared: bool) -> None:
        """`shared`: other origins were allowed to call the API, so they may embed its media as well."""
        self.app = app
        self.policy = b"cross-origin" if shared else b"same-origin"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)

        async def send_safe(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *self._extra(dict(message["headers"]))]
            await send(message)

        return await self.app(scope, receive, send_safe)

    def _extra(self, present: dict[bytes, bytes]) -> list[tuple[bytes, bytes]]:
        html = present.get(b"content-type", b"").startswith(b"text/html")
        wanted = {
            b"x-content-type-options": b"nosniff",
            b"referrer-policy": b"same-origin",
            b"x-frame-options": b"DENY",
            b"cross-origin-resource-policy": self.policy,
            b"cross-origin-opener-policy": b"same-origin",
            b"content-security-policy": (PAGE_CSP if html else DATA_CSP).encode(),
        }
        return [(name, value) for name, value in wanted.items() if name not in present]


class BodyLimit:
    """Bounds request bodies, but for multipart bodies at `uploads`: those count their bytes against their own limit."""

    def __init__(self, app: ASGIApp, *, max_bytes: int, uploads: frozenset[str] = frozenset()) -> None:
        """`uploads` are paths."""
        self.app = app
        self.max_bytes = max_bytes
        self.uploads = uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http" or self._is_upload(scope):
            return await self.app(scope, receive, send)
        declared = header(scope, b"content-length") or "0"
        if declared.isdecimal() and int(declared) > self.max_bytes:
            return await problems.from_http(scope, self._too_large())(scope, receive, send)
        taken = 0

        async def bounded() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self.max_bytes:
                raise self._too_large()
            return message

        return await self.app(scope, bounded, send)

    def _is_upload(self, scope: Scope) -> bool:
        kind = (header(scope, b"content-type") or "").lower()
        return scope["path"] in self.uploads and kind.startswith("multipart/")

    def _too_large(self) -> HTTPException:
        return HTTPException(413, f"the body is larger than {self.max_bytes} bytes")
