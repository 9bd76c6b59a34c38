"""One listening connection that wakes any number of followers when something about a job changes."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

import psycopg
from psycopg import sql

from vidcompute.errors import NotFound, StoreDown
from vidcompute.monitor import get_logger
from vidcompute.store.db import checked_dsn
from vidcompute.store.events import CHANNEL
from vidcompute.store.page import job_text, job_uuid

_BACKOFF_S = (0.1, 0.3, 1.0, 3.0)
#: How long the connection may be silent before it is asked whether it still lives.
_SILENCE_S = 15.0
_CONNECT_TIMEOUT_S = 10.0


class Following:
    """Notices changes from the moment it is made: look, then `wait`, and nothing falls between."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()
        self._jobs: set[uuid.UUID] = set()

    async def wait(self, timeout_s: float) -> bool:
        """Return at a change since the last wait, at the latest after `timeout_s`; whether there was one."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        except TimeoutError:
            return False
        self._changed.clear()
        return True

    def wake(self, job: uuid.UUID | None = None) -> None:
        """Say that something changed; which job, where that is known."""
        if job is not None:
            self._jobs.add(job)
        self._changed.set()

    def take(self) -> list[str]:
        """The jobs heard of since the last take; none after a change means that any may have changed."""
        jobs, self._jobs = self._jobs, set()
        return [job_text(job) for job in jobs]


class EventFeed:
    """An async context: inside, it listens. Notifications are hints: whoever is woken reads the rows.

    A lost connection is made anew, and everybody is woken then, for what may have been missed.
    """

    def __init__(self, dsn: str) -> None:
        """`dsn` must lead to Postgres itself or a pooler in session mode: LISTEN needs a connection of its own."""
        self._dsn = checked_dsn(dsn)
        self._followers: defaultdict[uuid.UUID | None, set[Following]] = defaultdict(set)
        self._group = asyncio.TaskGroup()
        self._listener: asyncio.Task[None] | None = None
        self._log = get_logger("feed")

    async def __aenter__(self) -> Self:
        """Listen. Raises StoreDown if the database does not answer now."""
        connection = await self._connect()
        await self._group.__aenter__()
        self._listener = self._group.create_task(self._listen(connection))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening."""
        assert self._listener is not None
        self._listener.cancel()
        await self._group.__aexit__(kind, error, trace)

    @asynccontextmanager
    async def follow(self, job_id: str | None) -> AsyncIterator[Following]:
        """Changes of one job, or of every job (None). An id that cannot exist is simply never heard of."""
        key: uuid.UUID | None = None
        following = Following()
        if job_id is not None:
            try:
                key = job_uuid(job_id)
            except NotFound:
                yield following
                return
        self._followers[key].add(following)
        try:
            yield following
        finally:
            self._followers[key].discard(following)
            if not self._followers[key]:
                del self._followers[key]

    async def wait(self, job_id: str | None, timeout_s: float) -> bool:
        """Return at the next change of the job (None: of any), at the latest after `timeout_s`; whether there was one.

        What happens between two waits is missed; `follow` misses nothing.
        """
        async with self.follow(job_id) as changes:
            return await changes.wait(timeout_s)

    async def _connect(self) -> psycopg.AsyncConnection:
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                connection = await psycopg.AsyncConnection.connect(self._dsn, autocommit=True)
                await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(CHANNEL)))
        except (psycopg.OperationalError, TimeoutError) as error:
            raise StoreDown(f"Postgres: {(str(error).strip() or 'no answer').splitlines()[0]}") from error
        return connection

    async def _listen(self, connection: psycopg.AsyncConnection) -> None:
        failures = 0
        while True:
            try:
                async with connection:
                    while True:
                        async for notice in connection.notifies(timeout=_SILENCE_S):
                            failures = 0
                            self._wake(notice.payload)
                        await connection.execute("SELECT 1")
            except psycopg.Error as error:
                self._log.warning("feed.lost", error=str(error).strip())
            connection = await self._reconnect(failures)
            failures += 1
            self._wake_all()

    async def _reconnect(self, failures: int) -> psycopg.AsyncConnection:
        while True:
            await asyncio.sleep(_BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)])
            with contextlib.suppress(StoreDown):
                return await self._connect()
            failures += 1

    def _wake(self, payload: str) -> None:
        with contextlib.suppress(ValueError):
            job = uuid.UUID(payload)
            for following in (*self._followers.get(job, ()), *self._followers.get(None, ())):
                following.wake(job)

    def _wake_all(self) -> None:
        for followers in self._followers.values():
            for following in followers:
                following.wake()
