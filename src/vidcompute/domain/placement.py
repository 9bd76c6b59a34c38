"""Which task goes to which node: first-fit decreasing over CPU, GPU and memory. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from vidcompute.domain.task import Resources

#: A demand that waited this long keeps a node free of later work until it fits there.
RESERVE_AFTER_S = 60.0

#: Ten tasks of 0.1 cores fit one core, although ten float subtractions leave a little less than nothing.
_TOLERANCE = 1e-9


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


@dataclass(frozen=True, slots=True)
class PlacementResult:
    """One tick's decisions, each in the order of consideration.

    `waiting` fit some machine but not now; `impossible` need more than any machine has in all, so waiting is in vain.
    """

    placements: tuple[Placement, ...]
    waiting: tuple[Demand, ...]
    impossible: tuple[Demand, ...]


def fits(need: Resources, room: Resources) -> bool:
    """Whether `need` is covered by `room` in every dimension."""
    return (
        need.cpu <= room.cpu + _TOLERANCE
        and need.gpu <= room.gpu + _TOLERANCE
        and need.memory_bytes <= room.memory_bytes
    )


def minus(room: Resources, need: Resources) -> Resources:
    """What is left of `room`; negative where it was overdrawn."""
    return Resources(room.cpu - need.cpu, room.gpu - need.gpu, room.memory_bytes - need.memory_bytes)


def place(
    demands: Iterable[Demand],
    nodes: Iterable[Node],
    *,
    now_s: float,
    reserve_after_s: float = RESERVE_AFTER_S,
    largest: Resources | None = None,
) -> PlacementResult:
    """Decide where waiting tasks start; the order of the arguments does not matter.

    Tasks are considered by band, then largest dominant share first (large items first leave fewer holes), then age.
    At most tasks × nodes comparisons. `now_s` is on the clock of `Demand.since_s`. `largest` is the biggest machine
    that an autoscaler could still add: what fits only there waits. While no machine is known at all, everything waits.
    """
    machines = sorted(nodes, key=lambda node: node.id)
    room = _Room(machines)
    sizes = {node.total for node in machines} | ({largest} if largest else set())
    placements: list[Placement] = []
    waiting: list[Demand] = []
    impossible: list[Demand] = []
    for demand in sorted(demands, key=lambda d: (d.band, -room.share(d.need), d.since_s, d.task_id)):
        if (node_id := room.take(demand.need)) is not None:
            placements.append(Placement(demand.task_id, node_id))
        elif sizes and not any(fits(demand.need, size) for size in sizes):
            impossible.append(demand)
        else:
            waiting.append(demand)
            if now_s - demand.since_s >= reserve_after_s:
                room.reserve(demand.need)
    return PlacementResult(tuple(placements), tuple(waiting), tuple(impossible))


class _Room:
    """What is free on the living nodes while one tick takes from it."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self._biggest = Resources(
            cpu=max((node.total.cpu for node in nodes), default=0.0),
            gpu=max((node.total.gpu for node in nodes), default=0.0),
            memory_bytes=max((node.total.memory_bytes for node in nodes), default=0),
        )
        # CPU work must not sit on the few machines that GPU work can use; fullest first keeps whole machines free.
        self._nodes = sorted(
            (node for node in nodes if node.alive), key=lambda node: (node.total.gpu > 0, self.share(node.free))
        )
        self._free = {node.id: node.free for node in self._nodes}
        #: Shapes that found no place; room only shrinks during a tick, so they need not look again.
        self._refused: set[Resources] = set()
        #: Reserved nodes, with what of their total is not promised yet.
        self._unpromised: dict[str, Resources] = {}

    def share(self, amount: Resources) -> float:
        """Dominant share: the largest fraction that `amount` is of the biggest machine, over the dimensions."""
        parts = (
            (amount.cpu, self._biggest.cpu),
            (amount.gpu, self._biggest.gpu),
            (amount.memory_bytes, self._biggest.memory_bytes),
        )
        return max((part / whole for part, whole in parts if whole > 0), default=0.0)

    def take(self, need: Resources) -> str | None:
        """The first node with room, which then has less; None if there is none."""
        if need in self._refused:
            return None
        for node in self._nodes:
            if node.id not in self._unpromised and fits(need, self._free[node.id]):
                self._free[node.id] = minus(self._free[node.id], need)
                return node.id
        self._refused.add(need)
        return None

    def reserve(self, need: Resources) -> None:
        """Keep the node that is nearest to having room for `need` out of the rest of this tick.

        Without this, small tasks would fill every gap as it opens and a large one would wait for ever. A node that
        is reserved already is shared as long as its total covers all promises. The choice is stable from tick to
        tick, because nothing new starts on the chosen node while it drains.
        """
        for node_id, left in self._unpromised.items():
            if fits(need, left):
                self._unpromised[node_id] = minus(left, need)
                return
        able = [n for n in self._nodes if n.id not in self._unpromised and fits(need, n.total)]
        if able:
            chosen = min(able, key=lambda node: self._distance(need, node))
            self._unpromised[chosen.id] = minus(chosen.total, need)

    def _distance(self, need: Resources, node: Node) -> tuple[bool, float, str]:
        free = self._free[node.id]
        missing = Resources(
            max(0.0, need.cpu - free.cpu), max(0.0, need.gpu - free.gpu), max(0, need.memory_bytes - free.memory_bytes)
        )
        return (node.total.gpu > 0 and need.gpu <= 0, self.share(missing), node.id)
