"""A thin client of the HTTP API: JSON in and out, problems as CliError with the right exit code."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, BinaryIO, TypeVar

import httpx

from vidcompute.cli.state import CliError, Exit, State

T = TypeVar("T")
API = "/api/v1"
#: The stream says something every 15 s; thrice that in silence means that it is dead.
_SILENCE_S = 45.0
#: How long a lost stream is tried again before giving up: a restart of the service fits in.
_LOST_S = 60.0


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One server-sent event. `seq` is None for what cannot be resumed at."""

    kind: str
    data: dict[str, Any]
    seq: int | None = None


class Client:
    """Talks to one server. Use as an async context manager."""

    def __init__(self, state: State) -> None:
        self.server = state.server.rstrip("/")
        self._http = httpx.AsyncClient(
            base_url=self.server,
            transport=state.transport,
            # A proxy from the environment must not see what goes to this machine; remote servers may need theirs.
            trust_env=not _is_local(self.server),
            timeout=httpx.Timeout(30.0, read=60.0),
            follow_redirects=False,
        )

    async def __aenter__(self) -> Client:
        """Open connections lazily."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """JSON of a GET."""
        return _json(await self._send("GET", path, params={k: v for k, v in (params or {}).items() if v is not None}))

    async def post(self, path: str, body: Any = None, *, headers: Mapping[str, str] | None = None) -> Any:
        """JSON of a POST with a JSON body."""
        return _json(await self._send("POST", path, json=body, headers=headers))

    async def delete(self, path: str) -> None:
        """A DELETE."""
        await self._send("DELETE", path)

    async def raw(self, path: str) -> httpx.Response:
        """A GET of something small that is not JSON."""
        return await self._send("GET", path)

    async def upload(
        self,
        spec: Mapping[str, Any],
        file: BinaryIO,
        *,
        name: str,
        seen: Callable[[int], None],
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Submit a file with its spec, streamed; `seen` hears how many bytes each piece had."""
        files: list[tuple[str, Any]] = [
            ("spec", (None, json.dumps(spec).encode(), "application/json")),
            ("file", (name, _Counted(file, seen), "application/octet-stream")),
        ]
        # An upload may take long to be read by the server's disk: only connecting has a deadline.
        timeout = httpx.Timeout(None, connect=30.0)
        return _json(await self._send("POST", f"{API}/jobs", files=files, headers=headers, timeout=timeout))

    @asynccontextmanager
    async def stream(self, path: str, *, headers: Mapping[str, str] | None = None) -> AsyncIterator[httpx.Response]:
        """A GET whose body is read as it comes. Raises CliError for a problem."""
        timeout = httpx.Timeout(30.0, read=_SILENCE_S)
        with _translated(self.server):
            async with self._http.stream("GET", path, headers=headers, timeout=timeout) as response:
                if response.is_error:
                    await response.aread()
                    raise problem(response)
                yield response

    async def events(self, job_id: str, *, after: int = 0) -> AsyncIterator[StreamEvent]:
        """A job's events until its end, through restarts of the service."""
        lost_since: float | None = None
        clock = asyncio.get_running_loop().time
        while True:
            headers = {"Accept": "text/event-stream", **({"Last-Event-ID": str(after)} if after else {})}
            try:
                async with self.stream(f"{API}/jobs/{job_id}/logs", headers=headers) as response:
                    if response.status_code == httpx.codes.NO_CONTENT:
                        return
                    async for event in _parse(response.aiter_bytes()):
                        lost_since = None
                        after = event.seq or after
                        yield event
                        if event.kind == "end":
                            return
            except CliError as error:
                if error.code not in {Exit.UNREACHABLE, Exit.TIMEOUT}:
                    raise
                lost_since = lost_since if lost_since is not None else clock()
                if clock() - lost_since > _LOST_S:
                    raise
            await asyncio.sleep(0.5)

    async def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        with _translated(self.server):
            response = await self._http.request(method, path, **request)
        if response.is_error:
            raise problem(response)
        return response


class _translated:  # noqa: N801 - reads as a statement
    """Turns httpx's failures into CliError."""

    def __init__(self, server: str) -> None:
        self.server = server

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Raises CliError in place of httpx's."""
        match error:
            case httpx.TimeoutException():
                raise CliError(f"{self.server} did not answer in time", code=Exit.TIMEOUT, hint=_HINT) from error
            case httpx.TransportError() | httpx.InvalidURL():
                what = str(error) or type(error).__name__
                raise CliError(f"cannot reach {self.server}: {what}", code=Exit.UNREACHABLE, hint=_HINT) from error
            case _:
                pass


_HINT = "Is it running? `vidctl serve` starts it; --server or VIDCOMPUTE_SERVER names another."
_CODES = {401: Exit.AUTH, 403: Exit.AUTH, 404: Exit.NOT_FOUND, 408: Exit.TIMEOUT, 504: Exit.TIMEOUT}


def problem(response: httpx.Response) -> CliError:
    """A problem response as the error to end with."""
    code = _CODES.get(response.status_code, Exit.ERROR)
    try:
        body = response.json()
        message, hint = f"{body['title']}: {body['detail']}", str(body.get("hint", ""))
    except (ValueError, KeyError, TypeError):
        return CliError(f"{response.url} answered {response.status_code}", code=code, hint="Is this vidcompute?")
    if response.status_code == httpx.codes.UNPROCESSABLE_ENTITY and body.get("errors"):
        # What the caller typed does not fit: usage, found out by the service in place of the parser here.
        code = Exit.USAGE
    if response.status_code >= 500:
        hint += f" (request {body.get('request_id', '?')})"
    return CliError(message, code=code, hint=hint)


def _json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError as error:
        raise CliError(f"{response.url} did not answer with JSON", hint="Is this vidcompute?") from error


def _is_local(server: str) -> bool:
    return httpx.URL(server).host in {"127.0.0.1", "::1", "localhost"}


async def _parse(body: AsyncIterator[bytes]) -> AsyncIterator[StreamEvent]:
    """Server-sent events. Lines end at LF only: str.splitlines would also cut at U+2028 inside JSON."""
    rest = b""
    fields: dict[str, str] = {}
    async for piece in body:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            if not line:
                if "data" in fields:
                    seq = fields.get("id", "")
                    data = json.loads(fields["data"])
                    yield StreamEvent(fields.get("event", "message"), data, int(seq) if seq.isdecimal() else None)
                fields = {}
            elif not line.startswith(b":"):
                name, _, value = line.decode().partition(":")
                fields[name] = value.removeprefix(" ")


class _Counted:
    """A file that tells how much of it was read. Its size shows where it is a real file (Content-Length)."""

    def __init__(self, file: BinaryIO, seen: Callable[[int], None]) -> None:
        self._file = file
        self._seen = seen

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        data = self._file.read(size)
        self._seen(len(data))
        return data

    def fileno(self) -> int:
        """Only of regular files: httpx takes the size from here, and a pipe's says 0."""
        number = self._file.fileno()
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise OSError("not a regular file")
        return number


def talk(state: State, work: Callable[[Client], Awaitable[T]]) -> T:
    """Run `work` with a client of the state's server."""

    async def go() -> T:
        async with Client(state) as client:
            return await work(client)

    return asyncio.run(go())
