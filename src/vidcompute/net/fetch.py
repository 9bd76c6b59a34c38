"""Guarded HTTP: one URL as a stream of bytes, from public addresses only, bounded in every direction."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Self
from urllib.parse import SplitResult, urljoin, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver

from vidcompute.errors import LimitExceeded, SourceForbidden, SourceUnreachable
from vidcompute.net.answers import Part, judge, part_of
from vidcompute.net.guard import Guard

_REDIRECTS = {301, 302, 303, 307, 308}
_MAX_URL = 8192
_READ_BYTES = 256 * 1024
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class FetchSettings:
    """Bounds of a fetch. `ports` holds while private networks are closed."""

    max_bytes: int
    allow_private_networks: bool = False
    ports: frozenset[int] = frozenset({80, 443})
    redirects: int = 5
    connect_timeout_s: float = 15.0
    #: Without one byte for so long, the connection counts as broken.
    idle_timeout_s: float = 30.0
    total_timeout_s: float = 6 * 3600.0
    #: How often one fetch goes on after a broken connection, and the pause before, doubled each time.
    resumes: int = 5
    resume_pause_s: float = 0.5
    user_agent: str = "vidcompute"


class Fetcher:
    """Opens URLs. As an async context manager for symmetry with what holds connections; it holds none itself."""

    def __init__(self, settings: FetchSettings, *, resolver: AbstractResolver | None = None) -> None:
        """`resolver` replaces the system's for tests."""
        self.settings = settings
        self._resolver = resolver

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    @asynccontextmanager
    async def open(self, url: str) -> AsyncIterator[Fetched]:
        """The resource, its head read. Raises SourceForbidden, SourceMissing, SourceUnreachable, LimitExceeded."""
        async with AsyncExitStack() as stack:
            fetched = Fetched(url, self.settings, stack, self._resolver)
            await fetched.begin()
            yield fetched


class Fetched:
    """An answer whose bytes come by `chunks`, once."""

    def __init__(
        self, url: str, settings: FetchSettings, stack: AsyncExitStack, resolver: AbstractResolver | None
    ) -> None:
        """Made by `Fetcher.open`, whose `stack` closes the connection."""
        self.url = url
        #: In bytes; None if the server did not say.
        self.size_bytes: int | None = None
        self.content_type: str | None = None
        self._settings = settings
        self._stack = stack
        self._resolver = resolver
        self._part = Part(0, None, None)
        self._response: aiohttp.ClientResponse | None = None
        self._got = 0
        self._deadline = asyncio.get_running_loop().time() + settings.total_timeout_s

    @property
    def host(self) -> str:
        """The host as the caller named it: the only address that messages mention."""
        return urlsplit(self.url).hostname or "the server"

    async def begin(self) -> None:
        """Ask for the whole. Called by `Fetcher.open`."""
        response = await self._ask({})
        self._part = part_of(response, self.host)
        if self._part.start != 0:
            raise SourceUnreachable(f"{self.host} answered with a part of the resource, though asked for all of it")
        self.size_bytes, self.content_type = self._part.total, response.content_type
        self._check_size(self.size_bytes or 0)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The bytes, in pieces; a broken connection is resumed where the server can tell that nothing changed."""
        breaks = 0
        while True:
            cause: Exception | None = None
            try:
                while piece := await self._piece():
                    self._got += len(piece)
                    self._check_size(self._got)
                    yield piece
            except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
                cause = error
            if cause is None and self._got >= (self.size_bytes or 0):
                return
            breaks += 1
            if breaks > self._settings.resumes:
                raise SourceUnreachable(f"{self.host} broke the transfer off {breaks} times") from cause
            await asyncio.sleep(self._settings.resume_pause_s * 2 ** (breaks - 1))
            await self._resume()

    async def _piece(self) -> bytes:
        assert self._response is not None
        # Around each read, not around the loop: between pieces the caller's own work runs.
        async with asyncio.timeout_at(self._deadline):
            return await self._response.content.read(_READ_BYTES)

    async def _resume(self) -> None:
        if self._part.validator is None:
            raise SourceUnreachable(f"{self.host} broke the transfer off and cannot resume it")
        # From the start of all redirects: signed URLs behind them may have expired. If-Range turns a changed
        # resource into a plain 200, so that halves of two versions are never joined (RFC 9110 §13.1.5).
        response = await self._ask({"Range": f"bytes={self._got}-", "If-Range": self._part.validator})
        rest = part_of(response, self.host)
        if rest.start != self._got or rest.total != self._part.total or rest.validator != self._part.validator:
            raise SourceUnreachable(f"the resource at {self.host} changed while it was read")

    async def _ask(self, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        await self._stack.aclose()
        url = self.url
        for _ in range(self._settings.redirects + 1):
            _check_url(url, self._settings)
            response = await self._dial(url, headers)
            if response.status not in _REDIRECTS:
                judge(response, self.host)
                self._response = response
                return response
            await self._stack.aclose()
            url = urljoin(url, response.headers.get("Location", ""))
        raise SourceUnreachable(f"{self.host} redirects more than {self._settings.redirects} times")

    async def _dial(self, url: str, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        settings = self._settings
        guard = Guard(ports=settings.ports, allow_private_networks=settings.allow_private_networks)
        session = aiohttp.ClientSession(
            connector=guard.connector(self._resolver),
            # A proxy from the environment would dial for us, past the guard.
            trust_env=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(
                total=None, connect=settings.connect_timeout_s, sock_read=settings.idle_timeout_s
            ),
        )
        await self._stack.enter_async_context(session)
        everyone = {"User-Agent": settings.user_agent, "Accept": "*/*", "Accept-Encoding": "identity"}
        try:
            async with asyncio.timeout_at(self._deadline):
                request = session.get(url, headers={**everyone, **headers}, allow_redirects=False)
                return await self._stack.enter_async_context(request)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if guard.refused:
                raise SourceForbidden(f"{self.host} leads to an address or port that is not public") from error
            raise SourceUnreachable(f"{self.host} {_reason(error)}") from error

    def _check_size(self, size: int) -> None:
        if size > self._settings.max_bytes:
            raise LimitExceeded(f"the input at {self.host} is larger than {self._settings.max_bytes} bytes")


def _check_url(url: str, settings: FetchSettings) -> None:
    """Refuse early and with words; what matters for safety is checked again at the socket."""
    try:
        parts = urlsplit(url)
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError as error:
        raise SourceForbidden("the input's URL cannot be read", hint="Check it for typing errors.") from error
    if len(url) > _MAX_URL or parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise SourceForbidden("only http:// and https:// URLs with a host can be fetched")
    _check_authority(parts, port, settings)


def _check_authority(parts: SplitResult, port: int | None, settings: FetchSettings) -> None:
    if parts.username is not None or parts.password is not None:
        raise SourceForbidden("a URL with a user name or password is not fetched", hint="Use a signed URL instead.")
    if not settings.allow_private_networks and port not in settings.ports:
        allowed = ", ".join(map(str, sorted(settings.ports)))
        raise SourceForbidden(f"port {port} of {parts.hostname} may not be fetched from; allowed: {allowed}")


def _reason(error: Exception) -> str:
    """What went wrong, without the inner addresses that aiohttp's texts contain."""
    match error:
        case aiohttp.ClientConnectorDNSError():
            return "is not a name that resolves"
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError():
            return "has no valid TLS certificate, or speaks no TLS"
        case TimeoutError():
            return "did not answer in time"
        case aiohttp.ClientConnectorError():
            return "could not be connected to"
        case _:
            return "did not answer as an HTTP server should"
