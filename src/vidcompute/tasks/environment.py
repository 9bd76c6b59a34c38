"""What a node gives its tasks: folders, programs, limits, and how to reach the shared services."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidcompute import wire
from vidcompute.domain.task import TaskEvent, TaskEventKind, TaskSpec


@dataclass(frozen=True, slots=True)
class Limits:
    """Hard ceilings for sources, checked before decoding, and for the box."""

    max_bytes: int
    max_duration_s: float
    max_pixels: int
    max_streams: int
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class TaskEnvironment:
    """Handed to every task over a pipe, never in argv or the environment: it holds secrets."""

    database_url: str
    blobs_dir: str
    blobs_secret: str
    cache_dir: str
    scratch_dir: str
    ffmpeg: str
    ffmpeg_build: str
    sandbox: str
    limits: Limits
    file_roots: tuple[str, ...]
    allow_private_networks: bool
    #: Threads for each codec context of an encode.
    threads: int
    ocr: bool


@dataclass(frozen=True, slots=True)
class Task:
    """A task at work: its spec, its node, and its voice."""

    spec: TaskSpec
    environment: TaskEnvironment
    say: Callable[[TaskEvent], None]

    @property
    def ffmpeg(self) -> Path:
        """The ffmpeg program of this node."""
        return Path(self.environment.ffmpeg)

    def emit(self, kind: TaskEventKind, **data: Any) -> None:
        """Say something to the coordinator."""
        self.say(TaskEvent(self.spec.id, kind, data))

    def progress(self, phase: str, **data: Any) -> None:
        """Report how far this phase is. Keys as in the contract's `progress`, or bytes and total_bytes."""
        self.emit(TaskEventKind.PROGRESS, phase=phase, **data)

    def partial(self, **data: Any) -> None:
        """Hand over a part of the result before the end."""
        self.emit(TaskEventKind.PARTIAL, **data)

    def log(self, message: str, *, level: str = "info", **data: Any) -> None:
        """A line for the job's log, for people."""
        self.emit(TaskEventKind.LOG, level=level, message=message, data=data)

    def param(self, name: str, kind: type[Any]) -> Any:
        """A parameter of the spec, parsed as `kind`."""
        return wire.parse(kind, self.spec.params[name])
