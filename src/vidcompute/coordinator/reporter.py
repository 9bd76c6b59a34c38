"""Turns what tasks say into rows: log lines at once and in order, progress coalesced."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from vidcompute.coordinator.progress import JobProgress
from vidcompute.domain.job import Job, Phase
from vidcompute.domain.task import TaskEvent, TaskEventKind
from vidcompute.errors import LeaseLost, VidcomputeError
from vidcompute.monitor import get_logger
from vidcompute.store.jobs import JobStore

#: Progress is written at most this often: people read it, nothing depends on it.
PROGRESS_EVERY_S = 0.5
_BACKLOG = 2000


class Reporter:
    """An async context: inside, `hear()` may be called from callbacks; at the end everything is written."""

    def __init__(self, job: Job, jobs: JobStore, *, progress: JobProgress, clock: Callable[[], float]) -> None:
        """`clock` is monotonic seconds."""
        self._job = job
        self._jobs = jobs
        self._progress = progress
        self._clock = clock
        self._lines: asyncio.Queue[tuple[str, str, dict[str, Any]]] = asyncio.Queue(_BACKLOG)
        self._dirty = asyncio.Event()
        self._parts: dict[str, Any] = {name: dict(part) for name, part in job.parts.items()}
        self._group = asyncio.TaskGroup()
        self._writers: list[asyncio.Task[None]] = []
        self._dropped = 0
        self._said = get_logger("job")

    async def __aenter__(self) -> Self:
        """Start writing."""
        await self._group.__aenter__()
        self._writers = [
            self._group.create_task(self._write_lines()),
            self._group.create_task(self._write_progress()),
        ]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write what is left (unless the lease is lost or we are cancelled), then stop."""
        try:
            if kind is None or (issubclass(kind, VidcomputeError) and not issubclass(kind, LeaseLost)):
                await self.flush()
        finally:
            for writer in self._writers:
                writer.cancel()
            await self._group.__aexit__(kind, error, trace)

    def hear(self, event: TaskEvent) -> None:
        """Take in one event of a task."""
        data = event.data
        if event.kind is TaskEventKind.PROGRESS:
            self._progress.hear(Phase(data["phase"]), data)
            self._dirty.set()
        elif event.kind is TaskEventKind.LOG:
            self._enqueue(str(data.get("level", "info")), str(data.get("message", "")), dict(data.get("data") or {}))
        elif event.kind is TaskEventKind.LOST:
            self._enqueue("warning", f"a worker process was lost: {data.get('reason', 'unknown reason')}", {})

    def log(self, level: str, message: str, data: dict[str, Any]) -> None:
        """A line of the coordinator's own."""
        self._enqueue(level, message, data)

    async def parts(self, **parts: dict[str, Any]) -> None:
        """Update and store the job's parts."""
        await self._jobs.update_parts(self._job.id, self._job.attempt, parts=self.merged(**parts))
        await self._store_progress()

    def merged(self, **parts: dict[str, Any]) -> dict[str, Any]:
        """The parts with these changes, remembered for the next."""
        for name, part in parts.items():
            self._parts[name] = {**self._parts.get(name, {}), **part}
        return {name: dict(part) for name, part in self._parts.items()}

    async def flush(self) -> None:
        """Everything heard so far is stored when this returns."""
        await self._lines.join()
        await self._store_progress()

    def _enqueue(self, level: str, message: str, data: dict[str, Any]) -> None:
        try:
            self._lines.put_nowait((level, message, data))
        except asyncio.QueueFull:
            # A task that floods its log may lose lines; it may not take the coordinator's memory.
            self._dropped += 1

    async def _write_lines(self) -> None:
        while True:
            level, message, data = await self._lines.get()
            try:
                await self._jobs.log(self._job.id, self._job.attempt, level=level, message=message, data=data)
            finally:
                self._lines.task_done()

    async def _write_progress(self) -> None:
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            await self._store_progress()
            await asyncio.sleep(PROGRESS_EVERY_S)

    async def _store_progress(self) -> None:
        snapshot = self._progress.snapshot(self._clock())
        await self._jobs.progress(self._job.id, self._job.attempt, phase=self._progress.phase, progress=snapshot)
