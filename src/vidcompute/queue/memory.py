"""The queue of a single process: nothing survives it, and reconciliation rebuilds it from Postgres at start."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import assert_never

from vidcompute.domain.job import Priority
from vidcompute.domain.retry import Backoff
from vidcompute.errors import QueueDown
from vidcompute.queue.base import PENALTY_S, DeadLetter, EntryState, Lease, QueueStats
from vidcompute.queue.heap import Key, KeyedHeap

#: Cause given to entries whose holder stopped extending its lease.
LEASE_EXPIRED = "lease expired"


@dataclass(slots=True)
class _Entry:
    job_id: str
    priority: Priority
    #: Place among the ready: time of enqueue (or due time) plus the class's penalty. Kept over retries and releases.
    place: Key
    state: EntryState = EntryState.GONE
    deliveries: int = 0
    #: Set only while leased.
    token: str | None = None
    #: When a delayed entry is due, or a lease ends.
    until_s: float = 0.0
    cause: str = ""
    died_at_s: float = 0.0


class MemoryQueue:
    """queue.base.Queue in memory, for one event loop.

    No method awaits anything (but `wait`), so each is atomic. Time passes only through `clock` (seconds since the
    epoch): what fell due since the last call is carried out before the next one answers.
    """

    def __init__(
        self,
        *,
        backoff: Backoff,
        clock: Callable[[], float],
        random: Callable[[], float],
        max_deliveries: int = 16,
    ) -> None:
        """`max_deliveries` buries what keeps coming back; a job's own failures are limited by the coordinator."""
        self._backoff = backoff
        self._clock = clock
        self._random = random
        self._max_deliveries = max_deliveries
        self._entries: dict[str, _Entry] = {}
        self._ready = {priority: KeyedHeap() for priority in Priority}
        #: Delayed entries by due time and leased ones by the end of their lease.
        self._timers = KeyedHeap()
        #: In the order of death.
        self._dead: dict[str, _Entry] = {}
        self._depth: Counter[tuple[Priority, EntryState]] = Counter()
        self._arrivals = itertools.count()
        self._paused = False
        self._closed = False
        self._wake = asyncio.Event()

    async def enqueue(self, job_id: str, *, priority: Priority, delay_s: float = 0.0) -> bool:
        """See Queue."""
        now_s = self._advance()
        known = self._entries.get(job_id)
        if known is not None and known.state is not EntryState.DEAD:
            return False
        if known is not None:
            self._forget(known)
        # A delayed job takes its place in line when it is due, not before those who waited meanwhile.
        place = (now_s + max(0.0, delay_s) + PENALTY_S[priority], next(self._arrivals))
        entry = self._entries[job_id] = _Entry(job_id, priority, place)
        self._await_turn(entry, due_s=now_s + delay_s, now_s=now_s)
        return True

    async def lease(self, limit: int, *, for_s: float) -> list[Lease]:
        """See Queue."""
        now_s = self._advance()
        leases: list[Lease] = []
        while not self._paused and len(leases) < limit and (entry := self._best()) is not None:
            entry.deliveries += 1
            entry.token = secrets.token_hex(16)
            entry.until_s = now_s + for_s
            self._move(entry, EntryState.LEASED)
            leases.append(Lease(entry.job_id, entry.token, entry.priority, entry.deliveries))
        return leases

    async def wait(self, timeout_s: float) -> None:
        """See Queue. Returns at once while something is ready."""
        now_s = self._advance()
        if self._best() is not None and not self._paused:
            return
        timer = self._timers.first()
        pause_s = timeout_s if timer is None else min(timeout_s, timer[0][0] - now_s)
        wake = self._wake
        try:
            async with asyncio.timeout(max(0.0, pause_s)):
                await wake.wait()
        except TimeoutError:
            return

    async def extend(self, leases: Sequence[Lease], *, for_s: float) -> frozenset[Lease]:
        """See Queue."""
        now_s = self._advance()
        lost = set()
        for lease in leases:
            if (entry := self._held(lease)) is None:
                lost.add(lease)
            else:
                entry.until_s = now_s + for_s
                self._timers.put(entry.job_id, (entry.until_s, entry.place[1]))
        return frozenset(lost)

    async def ack(self, lease: Lease) -> bool:
        """See Queue."""
        self._advance()
        if (entry := self._held(lease)) is None:
            return False
        self._forget(entry)
        return True

    async def nack(self, lease: Lease, *, cause: str, delay_s: float | None = None) -> EntryState:
        """See Queue."""
        now_s = self._advance()
        if (entry := self._held(lease)) is None:
            return EntryState.GONE
        return self._fail(entry, cause=cause, delay_s=delay_s, failed_at_s=now_s, now_s=now_s)

    async def bury(self, lease: Lease, *, cause: str) -> bool:
        """See Queue."""
        now_s = self._advance()
        if (entry := self._held(lease)) is None:
            return False
        self._bury(entry, cause=cause, died_at_s=now_s)
        return True

    async def release(self, lease: Lease) -> bool:
        """See Queue."""
        now_s = self._advance()
        if (entry := self._held(lease)) is None:
            return False
        entry.deliveries -= 1
        self._await_turn(entry, due_s=now_s, now_s=now_s)
        return True

    async def cancel(self, job_id: str) -> bool:
        """See Queue."""
        self._advance()
        if (entry := self._entries.get(job_id)) is None:
            return False
        self._forget(entry)
        return True

    async def requeue(self, job_id: str) -> bool:
        """See Queue."""
        now_s = self._advance()
        entry = self._dead.get(job_id)
        if entry is None:
            return False
        entry.deliveries = 0
        entry.cause = ""
        entry.place = (now_s + PENALTY_S[entry.priority], next(self._arrivals))
        self._await_turn(entry, due_s=now_s, now_s=now_s)
        return True

    async def state(self, job_id: str) -> EntryState:
        """See Queue."""
        self._advance()
        entry = self._entries.get(job_id)
        return EntryState.GONE if entry is None else entry.state

    async def position(self, job_id: str) -> int | None:
        """See Queue. Looks at every ready entry."""
        self._advance()
        entry = self._entries.get(job_id)
        if entry is None or entry.state is not EntryState.READY:
            return None
        return sum(heap.ahead_of(entry.place) for heap in self._ready.values())

    async def dead(self, *, limit: int = 100) -> list[DeadLetter]:
        """See Queue."""
        self._advance()
        return [
            DeadLetter(entry.job_id, entry.priority, entry.cause, entry.deliveries, entry.died_at_s)
            for entry in islice(reversed(self._dead.values()), limit)
        ]

    async def pause(self, *, paused: bool) -> None:
        """See Queue."""
        self._advance()
        self._paused = paused
        if not paused:
            self._wake_all()

    async def stats(self) -> QueueStats:
        """See Queue."""
        now_s = self._advance()
        oldest_s = {
            priority: now_s - (first[0][0] - PENALTY_S[priority])
            for priority, heap in self._ready.items()
            if (first := heap.first()) is not None
        }
        return QueueStats(dict(+self._depth), oldest_s, self._paused)

    async def close(self) -> None:
        """See Queue. Every later call raises QueueDown."""
        self._closed = True
        self._wake_all()

    def _advance(self) -> float:
        """Carry out what fell due, and tell the time. Each entry's turn is paid for by the call that set its timer."""
        if self._closed:
            message = "The queue is closed: this process is stopping."
            raise QueueDown(message)
        now_s = self._clock()
        while (timer := self._timers.first()) is not None and timer[0][0] <= now_s:
            entry = self._entries[timer[1]]
            if entry.state is EntryState.DELAYED:
                self._move(entry, EntryState.READY)
            else:
                # Counted from the end of the lease, so it does not matter when somebody next looks.
                self._fail(entry, cause=LEASE_EXPIRED, delay_s=None, failed_at_s=entry.until_s, now_s=now_s)
        return now_s

    def _fail(
        self, entry: _Entry, *, cause: str, delay_s: float | None, failed_at_s: float, now_s: float
    ) -> EntryState:
        if entry.deliveries >= self._max_deliveries:
            self._bury(entry, cause=cause, died_at_s=failed_at_s)
        else:
            entry.cause = cause
            wait_s = self._backoff.delay_s(entry.deliveries, random=self._random) if delay_s is None else delay_s
            self._await_turn(entry, due_s=failed_at_s + wait_s, now_s=now_s)
        return entry.state

    def _bury(self, entry: _Entry, *, cause: str, died_at_s: float) -> None:
        entry.cause, entry.died_at_s = cause, died_at_s
        self._move(entry, EntryState.DEAD)

    def _await_turn(self, entry: _Entry, *, due_s: float, now_s: float) -> None:
        entry.until_s = due_s
        self._move(entry, EntryState.DELAYED if due_s > now_s else EntryState.READY)

    def _forget(self, entry: _Entry) -> None:
        self._move(entry, EntryState.GONE)

    def _move(self, entry: _Entry, state: EntryState) -> None:
        """The only place where an entry changes its state, so the indexes and the counters cannot disagree."""
        self._take_out(entry)
        entry.state = state
        if state is not EntryState.LEASED:
            entry.token = None
        match state:
            case EntryState.READY:
                self._ready[entry.priority].put(entry.job_id, entry.place)
            case EntryState.DELAYED | EntryState.LEASED:
                self._timers.put(entry.job_id, (entry.until_s, entry.place[1]))
            case EntryState.DEAD:
                self._dead[entry.job_id] = entry
            case EntryState.GONE:
                del self._entries[entry.job_id]
                return
            case _:
                assert_never(state)
        self._depth[entry.priority, state] += 1
        # For delayed and leased entries too: a waiter that sleeps until the next timer must learn of an earlier one.
        self._wake_all()

    def _take_out(self, entry: _Entry) -> None:
        match entry.state:
            case EntryState.READY:
                self._ready[entry.priority].drop(entry.job_id)
            case EntryState.DELAYED | EntryState.LEASED:
                self._timers.drop(entry.job_id)
            case EntryState.DEAD:
                del self._dead[entry.job_id]
            case EntryState.GONE:
                return
            case _:
                assert_never(entry.state)
        self._depth[entry.priority, entry.state] -= 1

    def _best(self) -> _Entry | None:
        firsts = [first for heap in self._ready.values() if (first := heap.first()) is not None]
        return self._entries[min(firsts)[1]] if firsts else None

    def _held(self, lease: Lease) -> _Entry | None:
        entry = self._entries.get(lease.job_id)
        return entry if entry is not None and entry.token == lease.token else None

    def _wake_all(self) -> None:
        self._wake.set()
        self._wake = asyncio.Event()
