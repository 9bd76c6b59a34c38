"""The shared services as a task reaches them, opened for its lifetime."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from vidcompute.blobs.base import Blobs
from vidcompute.blobs.local import LocalBlobs
from vidcompute.net.fetch import Fetcher, FetchSettings
from vidcompute.net.source import SourceOpener
from vidcompute.store.db import Database
from vidcompute.tasks.environment import TaskEnvironment


@asynccontextmanager
async def opened_blobs(environment: TaskEnvironment) -> AsyncIterator[Blobs]:
    """The object store."""
    yield LocalBlobs(Path(environment.blobs_dir), secret=bytes.fromhex(environment.blobs_secret))


@asynccontextmanager
async def source_opener(environment: TaskEnvironment) -> AsyncIterator[SourceOpener]:
    """What may fetch an input: guarded at connect, bounded, no proxies from the environment."""
    settings = FetchSettings(
        max_bytes=environment.limits.max_bytes, allow_private_networks=environment.allow_private_networks
    )
    async with Fetcher(settings) as fetcher:
        yield SourceOpener(fetcher, roots=tuple(map(Path, environment.file_roots)))


@asynccontextmanager
async def opened_database(environment: TaskEnvironment) -> AsyncIterator[Database]:
    """A connection or two: a task writes in batches."""
    database = Database(environment.database_url, min_size=1, max_size=2)
    await database.open()
    try:
        yield database
    finally:
        await database.close()
