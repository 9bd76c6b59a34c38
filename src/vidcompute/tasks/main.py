"""The entry of a task process: which kind it is, and how it is run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vidcompute import wire
from vidcompute.domain.task import TaskEvent, TaskKind, TaskSpec
from vidcompute.tasks import audio, chunk, describe, frames, package, probe
from vidcompute.tasks.environment import Task, TaskEnvironment

_KINDS: dict[TaskKind, Callable[[Task], dict[str, Any]]] = {
    TaskKind.PROBE: probe.run,
    TaskKind.CHUNK: chunk.run,
    TaskKind.AUDIO: audio.run,
    TaskKind.DESCRIBE: describe.run,
    TaskKind.FRAMES: frames.run,
    TaskKind.PACKAGE: package.run,
}


def run(spec: TaskSpec, environment: dict[str, Any], emit: Callable[[TaskEvent], None]) -> dict[str, Any]:
    """Run one task to its end; its result. Raises what it failed with."""
    return _KINDS[spec.kind](Task(spec, wire.parse(TaskEnvironment, environment), emit))
