"""The entry of a task process: which kind it is, and how it is run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vidcompute import wire
from vidcompute.domain.task import TaskEvent, TaskKind, TaskSpec
from vidcompute.tasks.audio import run as run_audio
from vidcompute.tasks.chunk import run as run_chunk
from vidcompute.tasks.describe import run as run_describe
from vidcompute.tasks.environment import Task, TaskEnvironment
from vidcompute.tasks.frames import run as run_frames
from vidcompute.tasks.package import run as run_package
from vidcompute.tasks.probe import run as run_probe

_KINDS: dict[TaskKind, Callable[[Task], dict[str, Any]]] = {
    TaskKind.PROBE: run_probe,
    TaskKind.CHUNK: run_chunk,
    TaskKind.AUDIO: run_audio,
    TaskKind.DESCRIBE: run_describe,
    TaskKind.FRAMES: run_frames,
    TaskKind.PACKAGE: run_package,
}


def run(spec: TaskSpec, environment: dict[str, Any], emit: Callable[[TaskEvent], None]) -> dict[str, Any]:
    """Run one task to its end; its result. Raises what it failed with."""
    return _KINDS[spec.kind](Task(spec, wire.parse(TaskEnvironment, environment), emit))
