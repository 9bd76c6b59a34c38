"""The tasks of a job as specs: keys, needs and parameters. Pure: who runs them, and when, is `run`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vidcompute import wire
from vidcompute.domain.job import Job
from vidcompute.domain.plan import Plan
from vidcompute.domain.task import Resources, TaskKind, TaskSpec

_MIB = 1024**2


@dataclass(frozen=True, slots=True)
class Needs:
    """What each kind of task asks of a node.

    An encode takes most of a small machine and no more than 4 cores of a large one: beyond that x264
    gains little, and two encodes side by side gain more.
    """

    biggest: Resources
    encode_cpu_max: float = 4.0

    def of(self, kind: TaskKind) -> Resources:
        """CPU cores and memory of one task."""
        total = self.biggest
        if kind is TaskKind.CHUNK:
            cpu = min(self.encode_cpu_max, max(0.5, total.cpu * 0.75))
            return Resources(cpu=cpu, memory_bytes=min(1536 * _MIB, total.memory_bytes // 2))
        # The text reader's models take 200 MiB.
        memory = 512 * _MIB if kind is TaskKind.DESCRIBE else 256 * _MIB
        return Resources(cpu=min(0.5, total.cpu), memory_bytes=min(memory, total.memory_bytes // 4))


@dataclass(frozen=True, slots=True)
class Dag:
    """Makes the task specs of one attempt."""

    job: Job
    needs: Needs
    timeout_s: float

    def probe(self) -> TaskSpec:
        """Fetch the original and measure it."""
        return self._spec(TaskKind.PROBE, "probe", {"input": self.job.spec.input, "source_key": self.job.source_key})

    def chunk(self, plan: Plan, index: int, common: dict[str, Any]) -> TaskSpec:
        """Encode one chunk into all renditions and choose its anchors."""
        return self._spec(TaskKind.CHUNK, f"chunk/{index}", {**common, "plan": wire.plain(plan), "chunk": index})

    def audio(self, plan: Plan, index: int, common: dict[str, Any]) -> TaskSpec:
        """Encode one audio rendition, whole."""
        return self._spec(TaskKind.AUDIO, f"audio/{index}", {**common, "plan": wire.plain(plan), "audio": index})

    def describe(self, plan: Plan, key: str, batch: dict[str, Any], common: dict[str, Any]) -> TaskSpec:
        """Describe one batch of anchors."""
        return self._spec(TaskKind.DESCRIBE, key, {**common, "plan": wire.plain(plan), "batch": batch})

    def frames(self, plan: Plan, chunks: list[dict[str, Any]], common: dict[str, Any]) -> TaskSpec:
        """Number frames and scenes over all chunks and store a row for each frame."""
        return self._spec(TaskKind.FRAMES, "frames", {**common, "plan": wire.plain(plan), "chunks": chunks})

    def package(
        self, plan: Plan, chunks: list[dict[str, Any]], audio: list[dict[str, Any]], common: dict[str, Any]
    ) -> TaskSpec:
        """Make, verify and upload what will be published."""
        params = {**common, "plan": wire.plain(plan), "chunks": chunks, "audio": audio}
        return self._spec(TaskKind.PACKAGE, f"package/{self.job.attempt}", params)

    def _spec(self, kind: TaskKind, key: str, params: dict[str, Any]) -> TaskSpec:
        job = self.job
        return TaskSpec(
            id=f"{job.id}-{job.attempt}-{key.replace('/', '-')}",
            job_id=job.id,
            tenant_id=job.tenant_id,
            attempt=job.attempt,
            kind=kind,
            key=key,
            params=params,
            resources=self.needs.of(kind),
            timeout_s=self.timeout_s,
        )
