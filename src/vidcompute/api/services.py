"""What every route is handed: the adapters behind the API, made by the composition root."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Protocol, runtime_checkable

from fastapi import Depends, Request

from vidcompute.api.settings import ApiSettings, EventLog, HttpMetrics
from vidcompute.blobs.base import Blobs
from vidcompute.domain.placement import Node
from vidcompute.queue.base import Queue
from vidcompute.store.feed import EventFeed
from vidcompute.store.frames import FrameStore
from vidcompute.store.jobs import JobStore
from vidcompute.store.search import SearchStore
from vidcompute.store.uploads import UploadStore


@runtime_checkable
class VerifiesUrls(Protocol):
    """A blob store whose signed URLs point back at us: the local one."""

    def verify(self, method: str, key: str, query: Mapping[str, str]) -> bool:
        """Whether `query` is an unexpired signature of ours over method and key."""
        ...


@dataclass(frozen=True, slots=True)
class Services:
    """The adapters. `ready` maps each dependency to "ok" or to what is wrong with it."""

    jobs: JobStore
    frames: FrameStore
    search: SearchStore
    uploads: UploadStore
    feed: EventFeed
    queue: Queue
    blobs: Blobs
    nodes: Callable[[], Awaitable[list[Node]]]
    metrics: HttpMetrics
    metrics_text: Callable[[str], tuple[bytes, str]]
    ready: Callable[[], Awaitable[Mapping[str, str]]]
    settings: ApiSettings
    clock: Callable[[], datetime]
    #: Set when the service is about to end: every stream says goodbye at once.
    stopping: asyncio.Event
    log: EventLog

    @property
    def tenant_id(self) -> str:
        """Whose objects a request sees. One tenant, until keys tell callers apart."""
        return self.settings.tenant_id


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


Use = Annotated[Services, Depends(_services)]
