"""Postgres says what is true: unfinished jobs that the queue does not know are enqueued again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

from vidcompute.errors import VidcomputeError
from vidcompute.monitor import Metrics, get_logger
from vidcompute.queue.base import EntryState, Queue
from vidcompute.store.jobs import JobStore

_PAGE = 500


class Reconciler:
    """Losing the queue loses nothing: `run()` puts back what is missing, at once and then every `every_s`."""

    def __init__(
        self, *, jobs: JobStore, queue: Queue, metrics: Metrics, every_s: float, now: Callable[[], datetime]
    ) -> None:
        """`now` gives aware UTC."""
        self._jobs = jobs
        self._queue = queue
        self._metrics = metrics
        self._every_s = every_s
        self._now = now
        self._log = get_logger("maintenance")

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.once()
                await self._measure()
            except VidcomputeError as error:
                self._log.warning("reconcile.failed", code=error.code, detail=error.detail)
            await asyncio.sleep(self._every_s)

    async def once(self) -> int:
        """Enqueue every unfinished job that the queue does not know; how many those were."""
        returned = 0
        after: str | None = None
        while page := await self._jobs.unfinished(limit=_PAGE, after=after):
            for job in page:
                if await self._queue.state(job.job_id) is not EntryState.GONE:
                    continue
                wait_s = (job.next_attempt_at - self._now()).total_seconds() if job.next_attempt_at else 0.0
                if await self._queue.enqueue(job.job_id, priority=job.priority, delay_s=max(0.0, wait_s)):
                    returned += 1
                    self._log.info("reconcile.returned", job_id=job.job_id, status=job.status.value)
            after = page[-1].job_id
        return returned

    async def _measure(self) -> None:
        stats = await self._queue.stats()
        for (priority, state), depth in stats.depth.items():
            self._metrics.queue_depth.labels(priority.value, state.value).set(depth)
        for priority, age_s in stats.oldest_ready_s.items():
            self._metrics.queue_oldest.labels(priority.value).set(age_s)
        self._metrics.dead_letters.set(sum(n for (_, state), n in stats.depth.items() if state is EntryState.DEAD))
