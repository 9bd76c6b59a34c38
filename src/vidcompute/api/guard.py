"""The guard of a keyless loopback bind: any web page can post to localhost, so pages are told apart here.

Two attacks: *DNS rebinding* (evil.example suddenly resolves to 127.0.0.1; the Host header gives it
away) and *cross-site requests* (a form or fetch on evil.example aimed at http://localhost; Origin and
Sec-Fetch-Site give it away, browsers do not let pages forge them).
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from vidcompute.api import problems
from vidcompute.api.middleware import header
from vidcompute.errors import Forbidden

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def host_name(host: str) -> str:
    """The name in a Host header, lower case, without port and brackets; "" if it is malformed."""
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port  # raises on a port that is not a number
    except ValueError:
        return ""
    if parts.username is not None or parts.path or parts.query or parts.fragment:
        return ""
    return (parts.hostname or "").rstrip(".")


def is_loopback(name: str) -> bool:
    """Whether `name` can only mean this machine: localhost and its children (RFC 6761 §6.3), 127/8, ::1."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


class LoopbackGuard:
    """Refuses foreign Hosts, and state-changing requests from foreign pages, with 403."""

    def __init__(self, app: ASGIApp, *, allowed_hosts: tuple[str, ...], origins: tuple[str, ...]) -> None:
        """`allowed_hosts` are names (any port) or name:port; `origins` may send state-changing requests too."""
        self.app = app
        self.allowed_hosts = frozenset(host.lower() for host in allowed_hosts)
        self.origins = frozenset(origin.lower().rstrip("/") for origin in origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "http" and (refusal := self._refusal(scope)):
            return await problems.from_error(scope, Forbidden(refusal))(scope, receive, send)
        return await self.app(scope, receive, send)

    def _refusal(self, scope: Scope) -> str | None:
        host = (header(scope, b"host") or "").lower()
        name = host_name(host)
        # The port is not compared: forwarded ports (ssh -L 9000:localhost:8080) are honest, and a page on
        # another port of localhost is told apart by its Origin below.
        if not (is_loopback(name) or name in self.allowed_hosts or host in self.allowed_hosts):
            return f"the Host {host[:100]!r} is not a name of this service"
        if scope["method"] in _SAFE_METHODS:
            return None
        origin = header(scope, b"origin")
        if origin is not None:
            same = origin.lower() == f"{scope['scheme']}://{host}"
            return None if same or origin.lower() in self.origins else f"the page at {origin[:100]!r} may not do this"
        if header(scope, b"sec-fetch-site") in {"cross-site", "same-site"}:
            return "a page of another site may not do this"
        return None
