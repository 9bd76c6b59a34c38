"""Multipart bodies as a stream of parts, in constant memory.

Starlette's form parser writes every file to a temporary file before the handler runs; here the push
parser's pieces go to whoever reads the part, at the speed of that reader (RFC 7578).
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from vidcompute.api.problems import MalformedBody
from vidcompute.errors import LimitExceeded

#: A submission has two; a few more are tolerated so that the error can name them.
_MAX_PARTS = 16


@dataclass(frozen=True, slots=True)
class _End:
    """A part is complete."""


@dataclass(slots=True)
class Part:
    """One part: its name, the sender's file name (None for a field), and its bytes, once."""

    name: str
    filename: str | None
    _source: Multipart

    async def chunks(self) -> AsyncIterator[bytes]:
        """The part's bytes as they arrive. Raises MalformedBody if the body ends before the part does."""
        while True:
            event = await self._source.next_event()
            if isinstance(event, _End):
                return
            if isinstance(event, bytes):
                yield event

    async def read(self, *, max_bytes: int) -> bytes:
        """All of a small part. Raises LimitExceeded if it is larger."""
        data = bytearray()
        async for chunk in self.chunks():
            data += chunk
            if len(data) > max_bytes:
                raise LimitExceeded(f"the part {self.name!r} is larger than {max_bytes} bytes")
        return bytes(data)


@dataclass(slots=True)
class _Headers:
    """Header lines of the part being parsed: the parser gives names and values in pieces."""

    name: bytearray = field(default_factory=bytearray)
    value: bytearray = field(default_factory=bytearray)
    done: dict[str, bytes] = field(default_factory=dict)


class Multipart:
    """The parts of a body in order. A part must be read to its end before the next is asked for."""

    def __init__(self, content_type: str, body: AsyncIterator[bytes]) -> None:
        """Raises MalformedBody if `content_type` names no boundary."""
        _, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if not boundary or len(boundary) > 200:
            raise MalformedBody("the Content-Type names no usable multipart boundary")
        self._body = body
        self._events: deque[bytes | Part | _End] = deque()
        self._headers = _Headers()
        self._complete = False
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._part_begin,
                    "on_header_field": self._header_field,
                    "on_header_value": self._header_value,
                    "on_header_end": self._header_end,
                    "on_headers_finished": self._headers_finished,
                    "on_part_data": self._part_data,
                    "on_part_end": self._part_end,
                    "on_end": self._end,
                },
            )
        except FormParserError as error:
            raise MalformedBody(str(error)) from error

    async def parts(self) -> AsyncIterator[Part]:
        """Each part in turn."""
        count = 0
        while (event := await self._next_or_none()) is not None:
            if isinstance(event, Part):
                count += 1
                if count > _MAX_PARTS:
                    raise MalformedBody(f"more than {_MAX_PARTS} parts")
                yield event

    async def next_event(self) -> bytes | Part | _End:
        """The next piece inside a part. Raises MalformedBody if there is none."""
        event = await self._next_or_none()
        if event is None:
            raise MalformedBody("it ends in the middle of a part")
        return event

    async def _next_or_none(self) -> bytes | Part | _End | None:
        while not self._events:
            chunk = await anext(self._body, None)
            if chunk is None:
                if not self._complete:
                    raise MalformedBody("it ends before the closing boundary")
                return None
            try:
                self._parser.write(chunk)
            except FormParserError as error:
                raise MalformedBody(str(error)) from error
        return self._events.popleft()

    def _part_begin(self) -> None:
        self._headers = _Headers()

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._headers.name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._headers.value += data[start:end]

    def _header_end(self) -> None:
        headers = self._headers
        headers.done[headers.name.decode("latin-1").lower()] = bytes(headers.value)
        headers.name.clear()
        headers.value.clear()

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.done.get("content-disposition", b""))
        name = options.get(b"name", b"").decode("utf-8", "replace")
        filename = options.get(b"filename")
        self._events.append(Part(name, None if filename is None else filename.decode("utf-8", "replace"), self))

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        self._events.append(data[start:end])

    def _part_end(self) -> None:
        self._events.append(_End())

    def _end(self) -> None:
        self._complete = True
