"""Server-sent events that resume, beat, and never hold up a shutdown."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine
from typing import Any

from starlette.responses import StreamingResponse

#: How long a browser waits before it reconnects.
RETRY_MS = 2000


def message(event: str, data: Any, *, event_id: int | None = None) -> bytes:
    """One event. JSON never holds a raw newline, so a single data line carries it (HTML Standard §9.2.6)."""
    head = "" if event_id is None else f"id: {event_id}\n"
    return f"{head}event: {event}\ndata: {json.dumps(data, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()


def comment(text: str = "") -> bytes:
    """A line that clients ignore and proxies count as traffic."""
    return f": {text}\n\n".encode()


def opening() -> bytes:
    """The first bytes: how soon to reconnect."""
    return f"retry: {RETRY_MS}\n\n".encode()


class EventStream(StreamingResponse):
    """`text/event-stream` that no cache keeps and no proxy holds back."""

    media_type = "text/event-stream"

    def __init__(self, content: AsyncIterator[bytes]) -> None:
        """`content` yields encoded events."""
        # X-Accel-Buffering is nginx's switch; without it events arrive in lumps of 4 KiB.
        super().__init__(content, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})


async def first(*waits: Coroutine[Any, Any, Any]) -> Any:
    """The result of the first of `waits` to return, with the others canceled. An error of any is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(wait) for wait in waits]
            done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in pending:
                task.cancel()
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return next(task.result() for task in tasks if task in done)


async def pause(seconds: float, stopping: asyncio.Event) -> None:
    """Wait, but not longer than the service lives."""
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        pass
