"""Which task goes to which node: first-fit decreasing over CPU, GPU and memory. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from vidcompute.domain.task import Resources


@dataclass(frozen=True, slots=True)
class Node:
    """A machine: what it has in all, what is free, and its labels (pool, spot, gpu model)."""

    id: str
    total: Resources
    free: Resources
    labels: dict[str, str] = field(default_factory=dict)
    alive: bool = True


@dataclass(frozen=True, slots=True)
class Demand:
    """A waiting task: `band` is its priority class after ageing (0 first), `since_s` when it began to wait."""

    task_id: str
    need: Resources
    band: int
    since_s: float


@dataclass(frozen=True, slots=True)
class Placement:
    """The decision: this task on that node."""

    task_id: str
    node_id: str
