"""The memory queue against a model so naive that it can be seen to be right: one list, always searched in full."""

import asyncio
from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from vidcompute.domain.job import Priority
from vidcompute.domain.retry import Backoff
from vidcompute.queue.base import PENALTY_S, EntryState, Lease
from vidcompute.queue.memory import MemoryQueue

READY, DELAYED, LEASED, DEAD, GONE = EntryState
BACKOFF = Backoff(base_s=8.0, cap_s=20.0, max_failures=3)
MAX_DELIVERIES = 3
START_S = 1_000_000.0

ids = st.sampled_from("abcdef")
priorities = st.sampled_from(Priority)
durations_s = st.sampled_from([0.0, 1.0, 4.0, 10.0, 400.0])


@dataclass
class Row:
    job_id: str
    priority: Priority
    place: tuple[float, int]
    state: EntryState
    until_s: float = 0.0
    deliveries: int = 0
    token: str | None = None


class Model:
    def __init__(self):
        self.rows: list[Row] = []
        self.now_s = START_S
        self.arrivals = 0

    def row(self, job_id):
        return next((row for row in self.rows if row.job_id == job_id), None)

    def held(self, lease):
        return next((row for row in self.rows if row.token == lease.token), None)

    def settle(self):
        while due := [r for r in self.rows if r.state in {DELAYED, LEASED} and r.until_s <= self.now_s]:
            row = min(due, key=lambda r: r.until_s)
            if row.state is DELAYED:
                row.state = READY
            else:
                self.fail(row, row.until_s, None)

    def fail(self, row, at_s, delay_s):
        row.token = None
        if row.deliveries >= MAX_DELIVERIES:
            row.state = DEAD
            return
        wait_s = BACKOFF.ceiling_s(row.deliveries) / 2 if delay_s is None else delay_s
        row.until_s = at_s + wait_s
        row.state = DELAYED if row.until_s > self.now_s else READY

    def next_place(self, priority, delay_s=0.0):
        self.arrivals += 1
        return (self.now_s + delay_s + PENALTY_S[priority], self.arrivals)

    def ready(self):
        return sorted((row for row in self.rows if row.state is READY), key=lambda row: row.place)


class QueueMachine(RuleBasedStateMachine):
    leases = Bundle("leases")

    def __init__(self):
        super().__init__()
        self.model = Model()
        self.paused = False
        self.added = self.acked = self.cancelled = self.replaced = 0
        self.live_tokens: dict[str, str] = {}

    @initialize()
    def open(self):
        self.queue = MemoryQueue(
            backoff=BACKOFF, max_deliveries=MAX_DELIVERIES, clock=lambda: self.model.now_s, random=lambda: 0.5
        )

    def ask(self, answer):
        """The queue never suspends, so one step finishes the call: no event loop is needed."""
        self.model.settle()
        try:
            answer.send(None)
        except StopIteration as stop:
            return stop.value
        raise AssertionError("a queue method suspended")

    @rule(seconds=st.sampled_from([0.5, 3.0, 15.0, 500.0]))
    def time_passes(self, seconds):
        self.model.now_s += seconds

    @rule(job_id=ids, priority=priorities, delay_s=durations_s)
    def enqueue(self, job_id, priority, delay_s):
        added = self.ask(self.queue.enqueue(job_id, priority=priority, delay_s=delay_s))

        row = self.model.row(job_id)
        assert added == (row is None or row.state is DEAD)
        if added:
            if row is not None:
                self.model.rows.remove(row)
                self.replaced += 1
            state = DELAYED if delay_s > 0 else READY
            place = self.model.next_place(priority, delay_s)
            self.model.rows.append(Row(job_id, priority, place, state, self.model.now_s + delay_s))
            self.added += 1

    @rule(target=leases, for_s=durations_s.filter(bool))
    def lease(self, for_s):
        found = self.ask(self.queue.lease(1, for_s=for_s))

        expected = [] if self.paused else self.model.ready()[:1]
        assert [(lease.job_id, lease.priority) for lease in found] == [(r.job_id, r.priority) for r in expected]
        if not found:
            return Lease("nobody", "nothing", Priority.LOW, 0)
        (lease,), (row,) = found, expected
        row.state, row.token, row.until_s = LEASED, lease.token, self.model.now_s + for_s
        row.deliveries += 1
        assert lease.deliveries == row.deliveries
        return lease

    @rule(lease=leases, for_s=durations_s.filter(bool))
    def extend(self, lease, for_s):
        lost = self.ask(self.queue.extend([lease], for_s=for_s))

        row = self.model.held(lease)
        assert lost == (frozenset() if row else {lease})
        if row:
            row.until_s = self.model.now_s + for_s

    @rule(lease=leases)
    def ack(self, lease):
        done = self.ask(self.queue.ack(lease))

        row = self.model.held(lease)
        assert done == (row is not None)
        if row:
            self.model.rows.remove(row)
            self.acked += 1

    @rule(lease=leases, delay_s=st.none() | durations_s)
    def nack(self, lease, delay_s):
        state = self.ask(self.queue.nack(lease, cause="no", delay_s=delay_s))

        row = self.model.held(lease)
        if row:
            self.model.fail(row, self.model.now_s, delay_s)
        assert state is (row.state if row else GONE)

    @rule(lease=leases)
    def bury(self, lease):
        buried = self.ask(self.queue.bury(lease, cause="no"))

        row = self.model.held(lease)
        assert buried == (row is not None)
        if row:
            row.state, row.token = DEAD, None

    @rule(lease=leases)
    def release(self, lease):
        released = self.ask(self.queue.release(lease))

        row = self.model.held(lease)
        assert released == (row is not None)
        if row:
            row.state, row.token = READY, None
            row.deliveries -= 1

    @rule(job_id=ids)
    def cancel(self, job_id):
        cancelled = self.ask(self.queue.cancel(job_id))

        row = self.model.row(job_id)
        assert cancelled == (row is not None)
        if row:
            self.model.rows.remove(row)
            self.cancelled += 1

    @rule(job_id=ids)
    def requeue(self, job_id):
        requeued = self.ask(self.queue.requeue(job_id))

        row = self.model.row(job_id)
        assert requeued == (row is not None and row.state is DEAD)
        if requeued:
            row.state, row.deliveries, row.place = READY, 0, self.model.next_place(row.priority)

    @rule(paused=st.booleans())
    def pause(self, paused):
        self.ask(self.queue.pause(paused=paused))
        self.paused = paused

    @rule()
    def wait_does_not_block_while_something_is_ready(self):
        self.model.settle()
        if self.model.ready() and not self.paused:
            self.ask(self.queue.wait(60.0))

    @invariant()
    def states_and_positions_agree(self):
        if not hasattr(self, "queue"):
            return
        for job_id in "abcdef":
            state = self.ask(self.queue.state(job_id))
            row = self.model.row(job_id)
            assert state is (row.state if row else GONE)
        for index, row in enumerate(self.model.ready()):
            assert self.ask(self.queue.position(row.job_id)) == index

    @invariant()
    def nothing_is_lost_or_counted_twice(self):
        if not hasattr(self, "queue"):
            return
        depth = self.ask(self.queue.stats()).depth

        assert all(count > 0 for count in depth.values())
        assert sum(depth.values()) == self.added - self.replaced - self.acked - self.cancelled
        assert len(self.ask(self.queue.dead())) == sum(n for (_, state), n in depth.items() if state is DEAD)

    def teardown(self):
        if hasattr(self, "queue"):
            asyncio.run(self.queue.close())


QueueMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestQueueMachine = QueueMachine.TestCase
