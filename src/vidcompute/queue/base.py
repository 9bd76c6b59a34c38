"""The Queue protocol. Every implementation passes tests/contract/test_queue.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from vidcompute.domain.job import Priority

#: Head start of a class over the next lower one, in seconds: FIFO inside a class, and a low job is
#: overtaken for at most this long (score = time of enqueue + penalty).
PENALTY_S: dict[Priority, float] = {Priority.HIGH: 0.0, Priority.NORMAL: 300.0, Priority.LOW: 1800.0}


class EntryState(StrEnum):
    """Where a job id is."""

    READY = "ready"
    DELAYED = "delayed"
    LEASED = "leased"
    DEAD = "dead"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on a job for a while. `token` is random per delivery; only its holder may settle."""

    job_id: str
    token: str
    priority: Priority
    #: Deliveries so far, this one included.
    deliveries: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A buried job with the cause of its last failure. `died_at_s` is seconds since the epoch."""

    job_id: str
    priority: Priority
    cause: str
    deliveries: int
    died_at_s: float


@dataclass(frozen=True, slots=True)
class QueueStats:
    """Depth by priority and state, and the age of the oldest ready entry in seconds."""

    depth: dict[tuple[Priority, EntryState], int] = field(default_factory=dict)
    oldest_ready_s: dict[Priority, float] = field(default_factory=dict)
    paused: bool = False


class Queue(Protocol):
    """At-least-once delivery of job ids. All methods raise QueueDown if the queue does not answer."""

    async def enqueue(self, job_id: str, *, priority: Priority, delay_s: float = 0.0) -> bool:
        """Add `job_id`; False (and no change) if it is already ready, delayed or leased. A dead entry is replaced."""
        ...

    async def lease(self, limit: int, *, for_s: float) -> list[Lease]:
        """Up to `limit` ready ids, best first, now held for `for_s` seconds. Never blocks; [] while paused.

        Due delayed entries become ready first; expired leases return with back-off, or are buried
        when their deliveries are used up.
        """
        ...

    async def wait(self, timeout_s: float) -> None:
        """Return when something may have become ready, at the latest after `timeout_s`. Spurious returns are allowed.

        Returns at once while something is ready, so call it only after `lease` gave less than there was room for.
        """
        ...

    async def extend(self, leases: Sequence[Lease], *, for_s: float) -> frozenset[Lease]:
        """Hold `leases` for `for_s` from now; returns those that are lost and must be abandoned."""
        ...

    async def ack(self, lease: Lease) -> bool:
        """Done: forget the id. False if the lease was lost (nothing changed)."""
        ...

    async def nack(self, lease: Lease, *, cause: str, delay_s: float | None = None) -> EntryState:
        """Failed: deliver again after `delay_s`, or after the queue's own back-off (by deliveries) if None.

        Returns DELAYED (or READY for a zero delay), DEAD if its deliveries are used up, GONE if the lease was lost.
        """
        ...

    async def bury(self, lease: Lease, *, cause: str) -> bool:
        """Failed for good: move to the dead letters. False if the lease was lost."""
        ...

    async def release(self, lease: Lease) -> bool:
        """Give back untouched, at its old place, delivery not counted (graceful stop). False if lost."""
        ...

    async def cancel(self, job_id: str) -> bool:
        """Forget `job_id` wherever it is; a running holder learns of it by its next extend. False if unknown."""
        ...

    async def requeue(self, job_id: str) -> bool:
        """Make a dead entry ready again with its deliveries reset. False if it is not dead."""
        ...

    async def state(self, job_id: str) -> EntryState:
        """Where `job_id` is; GONE if unknown."""
        ...

    async def position(self, job_id: str) -> int | None:
        """Ready entries ahead of `job_id`, 0 for the next one; None if it is not ready."""
        ...

    async def dead(self, *, limit: int = 100) -> list[DeadLetter]:
        """Dead letters, latest first."""
        ...

    async def pause(self, *, paused: bool) -> None:
        """Stop or resume leasing; what is leased goes on."""
        ...

    async def stats(self) -> QueueStats:
        """Depth and age, cheap enough for every scrape."""
        ...

    async def close(self) -> None:
        """Release connections and wake every waiter. Later calls raise QueueDown."""
        ...
