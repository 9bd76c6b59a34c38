"""Work that runs in a process of its own: a spec goes in as JSON, events come out as NDJSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class TaskKind(StrEnum):
    """Nodes of a job's DAG: probe → plan → [chunk]* ∥ audio ∥ describe* → frames, package → publish."""

    PROBE = "probe"
    CHUNK = "chunk"
    AUDIO = "audio"
    DESCRIBE = "describe"
    FRAMES = "frames"
    PACKAGE = "package"


@dataclass(frozen=True, slots=True)
class Resources:
    """What a task needs, or a node has: CPU cores, GPUs, memory in bytes."""

    cpu: float = 1.0
    gpu: float = 0.0
    memory_bytes: int = 0


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """One task. `key` names it within the job (`chunk/0`); `params` are plain JSON."""

    id: str
    job_id: str
    tenant_id: str
    #: The job's attempt: the fence of every write this task makes.
    attempt: int
    kind: TaskKind
    key: str
    params: dict[str, Any] = field(default_factory=dict)
    resources: Resources = Resources()
    #: Wall clock after which the task is killed.
    timeout_s: float = 3600.0


class TaskEventKind(StrEnum):
    """`progress`, `log`, `partial` come while a task runs; exactly one of the last three ends it.

    `lost` is said by the cluster, not by the task: the process or node is gone without a last word.
    """

    STARTED = "started"
    PROGRESS = "progress"
    LOG = "log"
    PARTIAL = "partial"
    DONE = "done"
    FAILED = "failed"
    LOST = "lost"

    @property
    def final(self) -> bool:
        """Whether the task is over."""
        return self in {TaskEventKind.DONE, TaskEventKind.FAILED, TaskEventKind.LOST}


@dataclass(frozen=True, slots=True)
class TaskEvent:
    """Something a task said. `data` of `failed` is an errors.Problem, of `done` the task's result."""

    task_id: str
    kind: TaskEventKind
    data: dict[str, Any] = field(default_factory=dict)
