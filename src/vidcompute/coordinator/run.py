"""One attempt at a job: probe → plan → [chunk]* ∥ audio ∥ describe* → package → publish, and frames.

Done tasks have rows; an attempt skips them. Streams are published as soon as they are verified, while
describing may still go on. A failure of the context never takes the streams down with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from vidcompute import wire
from vidcompute.blobs.base import Blobs
from vidcompute.coordinator.dag import Dag, Needs
from vidcompute.coordinator.progress import JobProgress
from vidcompute.coordinator.reporter import Reporter
from vidcompute.coordinator.scheduler import TaskScheduler
from vidcompute.coordinator.summary import source_summary
from vidcompute.domain.job import Job, PartStatus, Phase, Priority
from vidcompute.domain.media import Probe
from vidcompute.domain.plan import Plan
from vidcompute.domain.task import TaskEvent, TaskEventKind, TaskSpec
from vidcompute.errors import LeaseLost, Problem, VidcomputeError, from_problem
from vidcompute.media.plan import PlanSettings, make_plan, plan_hash
from vidcompute.monitor import Metrics
from vidcompute.store.frames import FrameStore
from vidcompute.store.jobs import JobStore

BANDS: dict[Priority, int] = {Priority.HIGH: 0, Priority.NORMAL: 1, Priority.LOW: 2}


@dataclass(frozen=True, slots=True)
class RunSettings:
    """What an attempt needs to know of the service."""

    plan: PlanSettings
    #: Names the encoder in content keys: another build makes other bytes.
    ffmpeg_build: str
    task_timeout_s: float = 6 * 3600.0


@dataclass(slots=True)
class _Context:
    """The describing half of an attempt."""

    #: Keys of the batches that a task was made for, and how many are done.
    batches: set[str] = field(default_factory=set)
    done: int = 0
    errors: list[VidcomputeError] = field(default_factory=list)
    warnings: list[dict[str, Any]] = field(default_factory=list)


class JobRun:
    """Walks one job, already begun (its `attempt` is ours), to the point where it can be settled."""

    def __init__(
        self,
        job: Job,
        *,
        jobs: JobStore,
        frames: FrameStore,
        blobs: Blobs,
        scheduler: TaskScheduler,
        settings: RunSettings,
        metrics: Metrics,
        clock: Callable[[], float],
    ) -> None:
        """`clock` is monotonic seconds."""
        self._job = job
        self._jobs = jobs
        self._frames = frames
        self._blobs = blobs
        self._scheduler = scheduler
        self._settings = settings
        self._metrics = metrics
        self._clock = clock
        self._progress = JobProgress(started_s=clock())
        self._reporter = Reporter(job, jobs, progress=self._progress, clock=clock)
        self._finished: dict[str, dict[str, Any]] = {}
        self._context = _Context()
        self._warnings: list[dict[str, Any]] = []

    async def run(self) -> None:
        """Do everything that is not done yet. Raises the error that the attempt must be settled with."""
        async with self._reporter:
            self._finished = await self._jobs.tasks(self._job.id)
            dag = Dag(self._job, Needs(await self._scheduler.biggest()), self._settings.task_timeout_s)
            plan, common = await self._plan(dag)
            # Describing goes on while the streams are packaged and published; a failure of theirs ends it.
            async with asyncio.TaskGroup() as describing:
                chunks, audio = await self._encode(dag, plan, common, describing)
                await self._package(dag, plan, chunks, audio, common)
                if plan.analysis is not None:
                    self._progress.phase = Phase.DESCRIBING
                    await self._reporter.flush()
            await self._settle_context(dag, plan, chunks, common)
            await self._tidy(common["work"])

    # ---- probe and plan

    async def _plan(self, dag: Dag) -> tuple[Plan, dict[str, Any]]:
        measured = await self._task(dag.probe())
        probe = wire.parse(Probe, measured["probe"])
        self._progress.finish(Phase.DOWNLOADING)
        self._progress.finish(Phase.PROBING)
        await self._jobs.set_source(
            self._job.id,
            self._job.attempt,
            source=source_summary(probe),
            source_key=measured["source"]["key"],
            sha256=measured["source"]["sha256"],
        )
        if self._job.plan is not None:
            plan = wire.parse(Plan, self._job.plan)
        else:
            plan = make_plan(probe, self._job.spec, self._settings.plan)
            await self._jobs.set_plan(self._job.id, self._job.attempt, plan=wire.plain(plan), plan_hash=plan_hash(plan))
        self._progress.frames = plan.output_frames
        self._warn("source", *plan.warnings)
        sha256 = measured["source"]["sha256"]
        work = f"{self._job.tenant_id}/work/{sha256}/{plan_hash(plan)[:16]}/{self._settings.ffmpeg_build}"
        await self._reporter.parts(
            hls={"status": PartStatus.RUNNING, "playable": False},
            context={"status": PartStatus.RUNNING if plan.analysis else PartStatus.SKIPPED, "provider": "local"},
        )
        return plan, {"source": measured["source"], "work": work}

    # ---- encode, and describe what is chosen on the way

    async def _encode(
        self, dag: Dag, plan: Plan, common: dict[str, Any], describing: asyncio.TaskGroup
    ) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        def describe(batch: dict[str, Any]) -> None:
            key = f"describe/{batch['chunk']}/{batch['number']}"
            if plan.analysis is not None and key not in self._context.batches:
                self._context.batches.add(key)
                describing.create_task(self._describe(dag.describe(plan, key, batch, common)))

        async with asyncio.TaskGroup() as group:
            chunks = [group.create_task(self._chunk(dag.chunk(plan, c.index, common), describe)) for c in plan.chunks]
            audio = [group.create_task(self._task(dag.audio(plan, i, common))) for i in range(len(plan.audio))]
        self._progress.finish(Phase.TRANSCODING)
        results = [task.result() for task in chunks]
        for result in results:
            self._count_encode(plan, result)
        return results, [task.result() for task in audio]

    async def _chunk(self, spec: TaskSpec, describe: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        def hear(event: TaskEvent) -> None:
            if event.kind is TaskEventKind.PARTIAL and "anchors" in event.data:
                describe(event.data["anchors"])

        result = await self._task(spec, hear)
        # An adopted chunk said nothing on the way; what was heard already is not started twice.
        for number in range(result["anchor_batches"]):
            describe({"chunk": spec.params["chunk"], "number": number})
        if result["analysis_error"]:
            self._context.errors.append(from_problem(wire.parse(Problem, result["analysis_error"])))
        return result

    async def _describe(self, spec: TaskSpec) -> None:
        try:
            result = await self._task(spec)
        except LeaseLost:
            raise
        except VidcomputeError as error:
            self._context.errors.append(error)
            self._reporter.log("warning", f"describing failed: {error.detail}", {"code": error.code})
            return
        self._context.done += 1
        self._progress.hear(Phase.DESCRIBING, {"done": self._context.done, "total": len(self._context.batches)})
        self._context.warnings.extend(result.get("warnings", []))
        self._metrics.ocr_cpu.inc(result.get("ocr_cpu_s", 0.0))
        self._metrics.llm_inference.labels("local").observe(result.get("seconds", 0.0))

    # ---- package and publish

    async def _package(
        self,
        dag: Dag,
        plan: Plan,
        chunks: list[dict[str, Any]],
        audio: list[dict[str, Any]],
        common: dict[str, Any],
    ) -> None:
        made = await self._task(dag.package(plan, chunks, audio, common))
        for phase in (Phase.PACKAGING, Phase.VERIFYING, Phase.UPLOADING):
            self._progress.finish(phase)
        self._warnings.extend(made["warnings"])
        await self._reporter.flush()
        await self._jobs.publish(
            self._job.id,
            self._job.attempt,
            published=made["published"],
            parts=self._reporter.merged(hls={"status": PartStatus.SUCCEEDED, "playable": True}),
            renditions=made["renditions"],
            warnings=self._warnings,
        )
        self._metrics.media_seconds.inc(float(plan.duration))

    # ---- the context

    async def _settle_context(self, dag: Dag, plan: Plan, chunks: list[dict[str, Any]], common: dict[str, Any]) -> None:
        if plan.analysis is None:
            return
        try:
            await self._task(dag.frames(plan, chunks, common))
        except LeaseLost:
            raise
        except VidcomputeError as error:
            self._context.errors.append(error)
        self._progress.finish(Phase.DESCRIBING)
        summary = await self._frames.summary(self._job.tenant_id, self._job.id)
        status = self._context_status(summary.described_frames, summary.frames)
        self._warnings.extend(_unique(self._context.warnings))
        self._warn("context", *(error.detail for error in self._context.errors))
        await self._reporter.parts(
            context={
                "status": status,
                "frames": summary.frames,
                "descriptions": summary.descriptions,
                "provider": "local",
                "tokens": summary.tokens,
                "cost_usd": float(summary.cost_usd),
                "ocr_cpu_s": round(summary.ocr_cpu_s, 3),
            },
        )
        await self._jobs.update_warnings(self._job.id, self._job.attempt, warnings=self._warnings)

    def _context_status(self, described: int, frames: int) -> PartStatus:
        if frames == 0 or described == 0:
            return PartStatus.FAILED
        return PartStatus.DEGRADED if self._context.errors or described < frames else PartStatus.SUCCEEDED

    async def _tidy(self, work: str) -> None:
        """Encoder output has been packaged and published: keeping it would double the disk. Others may still need it."""
        if not self._context.errors and not await self._jobs.work_is_shared(self._job.id):
            await self._blobs.delete_prefix(work)

    # ---- one task

    async def _task(self, spec: TaskSpec, hear: Callable[[TaskEvent], None] | None = None) -> dict[str, Any]:
        """Its result: from its row if it is done, else by running it."""
        done = self._finished.get(spec.key)
        if done is not None:
            return done

        def listen(event: TaskEvent) -> None:
            self._reporter.hear(event)
            if hear is not None:
                hear(event)

        result = await self._scheduler.execute(spec, band=BANDS[self._job.priority], hear=listen)
        await self._jobs.record_task(self._job.id, self._job.attempt, key=spec.key, kind=spec.kind, result=result)
        return result

    def _warn(self, code: str, *details: str) -> None:
        self._warnings.extend({"code": code, "detail": detail} for detail in details)

    def _count_encode(self, plan: Plan, result: dict[str, Any]) -> None:
        best = plan.renditions[0]
        self._metrics.encode_cpu.labels(best.codec.value, best.preset.value).inc(result.get("cpu_s", 0.0))
        if result.get("wall_s"):
            self._metrics.realtime_factor.set(float(plan.duration) / result["wall_s"])


def _unique(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """`items` without repetitions, in order: every batch may say the same."""
    seen: dict[str, dict[str, Any]] = {}
    for item in items:
        seen.setdefault(str(item), item)
    return list(seen.values())
