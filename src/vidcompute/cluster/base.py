"""The Cluster protocol. Every implementation passes tests/contract/test_cluster.py."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from vidcompute.domain.placement import Node
from vidcompute.domain.task import Resources, TaskEvent, TaskSpec


class Cluster(Protocol):
    """Runs each task in a process tree of its own and reports every word it says, in order, once."""

    async def nodes(self) -> list[Node]:
        """The machines, with what they have in all and what is free now."""
        ...

    async def start(self, task: TaskSpec, node_id: str) -> None:
        """Start `task` on that node. Raises WorkerLost if the node is gone; returns before the task works."""
        ...

    def events(self) -> AsyncIterator[TaskEvent]:
        """Events of all tasks. After the first final event of a task its resources are free and nothing more comes."""
        ...

    async def stop(self, task_id: str, *, grace_s: float = 5.0) -> None:
        """End the whole process tree: SIGTERM, then SIGKILL after `grace_s`. Returns when it is dead; unknown ids are ignored."""
        ...

    async def want(self, demand: Sequence[Resources]) -> None:
        """Tell an autoscaler what waits. A fixed cluster ignores it."""
        ...

    async def close(self) -> None:
        """Kill every task and release the nodes."""
        ...
