"""The worker role: lease jobs while there is room, run each, keep its lease, settle it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from vidcompute.coordinator.run import JobRun
from vidcompute.coordinator.scheduler import TaskScheduler
from vidcompute.coordinator.settle import Settler
from vidcompute.domain.job import Job
from vidcompute.errors import Canceled, LeaseLost, VidcomputeError, WorkerLost, principal
from vidcompute.monitor import Metrics, get_logger
from vidcompute.queue.base import Lease, Queue
from vidcompute.store.jobs import JobStore

#: Attempts in a row that may vanish with their worker before a job is taken for the cause.
MAX_TAKEOVERS = 8


@dataclass(frozen=True, slots=True)
class LoopSettings:
    """How much is taken on, and how long a silent worker keeps it."""

    node: str
    lease_s: float
    #: Jobs at work at once: enough that one packages while another encodes, few enough that leases mean work.
    max_jobs: int
    #: On stop: seconds that running jobs may take to finish before they are released.
    drain_s: float = 0.0
    #: Pause after an error of the queue or the store.
    pause_s: float = 1.0


@dataclass(slots=True)
class _Held:
    job: Job
    lease: Lease
    task: asyncio.Task[None] | None = None
    #: Why `task` was cancelled, if it was by us.
    reason: VidcomputeError | None = None


class Coordinator:
    """`run()` until `stopping` is set; then drains or releases, and returns."""

    def __init__(
        self,
        *,
        queue: Queue,
        jobs: JobStore,
        scheduler: TaskScheduler,
        settler: Settler,
        start: Callable[[Job], JobRun],
        settings: LoopSettings,
        metrics: Metrics,
        now: Callable[[], datetime],
    ) -> None:
        """`start` makes the run of a job that has begun."""
        self._queue = queue
        self._jobs = jobs
        self._scheduler = scheduler
        self._settler = settler
        self._start = start
        self._settings = settings
        self._metrics = metrics
        self._now = now
        self._held: dict[str, _Held] = {}
        self._room = asyncio.Event()
        self._log = get_logger("coordinator")

    @property
    def running(self) -> int:
        """Jobs at work."""
        return len(self._held)

    async def run(self, stopping: asyncio.Event) -> None:
        """Lease and run jobs until `stopping`; every held job is settled or released on return."""
        async with asyncio.TaskGroup() as services:
            keeper = services.create_task(self._keep())
            placer = services.create_task(self._scheduler.run())
            async with asyncio.TaskGroup() as attempts:
                leaser = attempts.create_task(self._lease(attempts))
                await stopping.wait()
                leaser.cancel()
                await self._drain()
            keeper.cancel()
            placer.cancel()

    # ---- taking on

    async def _lease(self, attempts: asyncio.TaskGroup) -> None:
        while True:
            room = self._settings.max_jobs - len(self._held)
            if room <= 0 or self._scheduler.waiting > 0:
                self._room.clear()
                await self._wait_for_room()
                continue
            try:
                leases = await self._queue.lease(min(room, 1 if self._held else room), for_s=self._settings.lease_s)
                for lease in leases:
                    await self._take(lease, attempts)
                if not leases:
                    await self._queue.wait(self._settings.lease_s)
            except VidcomputeError as error:
                # The queue or the store is away: what is leased comes back by itself.
                self._log.warning("coordinator.pause", code=error.code, detail=error.detail)
                await asyncio.sleep(self._settings.pause_s)

    async def _wait_for_room(self) -> None:
        """Until a job ends; looked at every second too, for room that tasks leave in the middle of a job."""
        try:
            async with asyncio.timeout(1.0):
                await self._room.wait()
        except TimeoutError:
            return

    async def _take(self, lease: Lease, attempts: asyncio.TaskGroup) -> None:
        job = await self._jobs.begin(lease.job_id, node=self._settings.node)
        if job is None:
            # Ended or deleted while its id was on the way.
            await self._queue.ack(lease)
            return
        if await self._kills_its_workers(job):
            cause = WorkerLost(
                f"the last {MAX_TAKEOVERS} attempts ended with the whole worker: this job is not tried again",
                hint="Look at the service's log around these attempts; retry the job once the cause is found.",
            )
            await self._settler.buried(job, lease, cause)
            return
        self._metrics.jobs_scheduled.labels(job.priority.value).inc()
        self._metrics.job_wait.observe(max(0.0, (self._now() - job.created_at).total_seconds()))
        self._log.info("attempt.started", job_id=job.id, attempt=job.attempt, failures=job.failures)
        held = _Held(job, lease)
        self._held[job.id] = held
        held.task = attempts.create_task(self._attempt(held))

    async def _kills_its_workers(self, job: Job) -> bool:
        """Whether so many attempts in a row never came to an end of their own.

        Losing a node counts no failure, so nothing else would stop a job that takes its worker down every time.
        """
        if job.attempt <= MAX_TAKEOVERS:
            return False
        earlier = [item for item in await self._jobs.attempts(job.tenant_id, job.id) if item.attempt < job.attempt]
        return all(item.outcome == "lost" for item in earlier[-MAX_TAKEOVERS:])

    # ---- one attempt

    async def _attempt(self, held: _Held) -> None:
        """Never raises but for cancellation from outside: an attempt's failure is its own."""
        try:
            await self._run(held)
        except VidcomputeError as error:
            # Settling itself failed (the store is away): the lease runs out and the job is delivered again.
            self._log.warning("attempt.unsettled", job_id=held.job.id, code=error.code, detail=error.detail)
        finally:
            self._held.pop(held.job.id, None)
            self._room.set()

    async def _run(self, held: _Held) -> None:
        try:
            await self._start(held.job).run()
        except asyncio.CancelledError:
            if held.reason is None:
                raise
            current = asyncio.current_task()
            if current is not None:
                current.uncancel()
            await self._settle_stopped(held, held.reason)
        except Exception as raised:  # noqa: BLE001  the settler maps every error, bugs included
            await self._settler.failed(held.job, held.lease, held.reason or principal(raised))
        except BaseExceptionGroup as raised:
            await self._settler.failed(held.job, held.lease, held.reason or principal(raised))
        else:
            await self._settler.succeeded(held.job, held.lease)
            self._log.info("attempt.succeeded", job_id=held.job.id, attempt=held.job.attempt)

    async def _settle_stopped(self, held: _Held, reason: VidcomputeError) -> None:
        if isinstance(reason, _Stopping):
            await self._settler.released(held.job, held.lease)
            self._log.info("attempt.released", job_id=held.job.id, attempt=held.job.attempt)
        else:
            await self._settler.failed(held.job, held.lease, reason)

    # ---- keeping

    async def _keep(self) -> None:
        """Extends all leases at a third of their time, and ends the jobs that were lost or cancelled."""
        while True:
            await asyncio.sleep(min(self._settings.lease_s / 3, 2.0))
            if not self._held:
                continue
            try:
                await self._renew()
            except VidcomputeError as error:
                self._log.warning("coordinator.renew_failed", code=error.code, detail=error.detail)

    async def _renew(self) -> None:
        held = dict(self._held)
        lost = await self._queue.extend([item.lease for item in held.values()], for_s=self._settings.lease_s)
        verdicts = await self._jobs.heartbeat([(item.job.id, item.job.attempt) for item in held.values()])
        for job_id, item in held.items():
            if verdicts.get(job_id) == "canceled":
                self._end(item, Canceled("canceled by request"))
            elif item.lease in lost or verdicts.get(job_id) == "lost":
                self._end(item, LeaseLost(f"attempt {item.job.attempt} of {job_id} is no longer ours"))

    def _end(self, held: _Held, reason: VidcomputeError) -> None:
        if held.reason is None and held.task is not None:
            held.reason = reason
            held.task.cancel()

    # ---- stopping

    async def _drain(self) -> None:
        tasks = [item.task for item in self._held.values() if item.task is not None]
        if tasks and self._settings.drain_s > 0:
            await asyncio.wait(tasks, timeout=self._settings.drain_s)
        for item in list(self._held.values()):
            self._end(item, _Stopping("the service is stopping"))


class _Stopping(VidcomputeError):
    """Our own process ends: the job goes back untouched."""

    code = "stopping"
