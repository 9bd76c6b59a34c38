"""What an attempt's outcome means: the one table from error to queue and row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from vidcompute.domain.job import Job
from vidcompute.domain.retry import Backoff
from vidcompute.errors import Canceled, LeaseLost, Problem, VidcomputeError
from vidcompute.monitor import Metrics, get_logger
from vidcompute.queue.base import Lease, Queue
from vidcompute.store.jobs import JobStore


class Settler:
    """Writes the outcome: row first (truth), then the queue; a crash between the two is mended by reconciliation."""

    def __init__(
        self,
        *,
        jobs: JobStore,
        queue: Queue,
        backoff: Backoff,
        metrics: Metrics,
        now: Callable[[], datetime],
        random: Callable[[], float],
    ) -> None:
        """`now` gives aware UTC, `random` a number in [0, 1)."""
        self._jobs = jobs
        self._queue = queue
        self._backoff = backoff
        self._metrics = metrics
        self._now = now
        self._random = random
        self._log = get_logger("coordinator")

    async def succeeded(self, job: Job, lease: Lease) -> None:
        """The attempt did everything."""
        await self._jobs.succeed(job.id, job.attempt)
        await self._queue.ack(lease)
        self._count(job, "succeeded")

    async def failed(self, job: Job, lease: Lease, error: BaseException) -> None:
        """The attempt raised `error`; unknown ones are bugs: traceback logged, retried, then buried."""
        if isinstance(error, LeaseLost):
            self._metrics.leases_expired.inc()
            self._log.warning("attempt.lease_lost", job_id=job.id, attempt=job.attempt)
            return
        if isinstance(error, Canceled):
            await self._jobs.cancel(job.id, job.attempt)
            await self._queue.ack(lease)
            self._count(job, "canceled")
            return
        await self._settle(job, lease, self._problem(job, error))

    async def released(self, job: Job, lease: Lease) -> None:
        """We are stopping: give the job back as it is."""
        await self._jobs.release(job.id, job.attempt)
        await self._queue.release(lease)

    async def buried(self, job: Job, lease: Lease, error: VidcomputeError) -> None:
        """Give up on the job, whatever tries it has left."""
        await self._bury(job, lease, error.problem())
        self._ended(job, error.problem())

    async def _bury(self, job: Job, lease: Lease, problem: Problem) -> None:
        await self._jobs.fail(job.id, job.attempt, problem, counted=True, retry_at=None, dead=True)
        await self._queue.bury(lease, cause=f"{problem.code}: {problem.detail}")

    async def _settle(self, job: Job, lease: Lease, problem: Problem) -> None:
        failures = job.failures + 1
        if not problem.retryable:
            await self._jobs.fail(job.id, job.attempt, problem, counted=True, retry_at=None, dead=False)
            await self._queue.ack(lease)
        elif failures >= job.max_attempts:
            await self._bury(job, lease, problem)
        else:
            delay_s = self._backoff.delay_s(failures, random=self._random)
            retry_at = self._now() + timedelta(seconds=delay_s)
            await self._jobs.fail(job.id, job.attempt, problem, counted=True, retry_at=retry_at, dead=False)
            await self._queue.nack(lease, cause=problem.code, delay_s=delay_s)
            self._metrics.retries.labels(problem.code).inc()
            self._log.info("attempt.retry", job_id=job.id, attempt=job.attempt, code=problem.code, delay_s=delay_s)
            return
        self._ended(job, problem)

    def _ended(self, job: Job, problem: Problem) -> None:
        self._log.info("job.failed", job_id=job.id, attempt=job.attempt, code=problem.code, detail=problem.detail)
        self._metrics.jobs_failed.labels(problem.code).inc()
        self._count(job, "failed")

    def _problem(self, job: Job, error: BaseException) -> Problem:
        if type(error) is VidcomputeError:
            # A bug inside a task process, which told of it: treated like one of our own.
            return replace(error.problem(), retryable=True)
        if isinstance(error, VidcomputeError):
            return error.problem()
        self._log.error("attempt.bug", job_id=job.id, attempt=job.attempt, exc_info=error)
        return Problem(
            code="internal_error",
            title=VidcomputeError.title,
            detail=f"{type(error).__name__} in vidcompute itself; the service log has the traceback",
            hint="Report it with the job id; the job is retried by itself.",
            retryable=True,
            evidence={"error": repr(error)},
        )

    def _count(self, job: Job, status: str) -> None:
        self._metrics.jobs.labels(status).inc()
        if job.started_at is not None:
            self._metrics.job_duration.labels(status).observe((self._now() - job.started_at).total_seconds())
