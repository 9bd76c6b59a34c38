"""What every Queue does, whichever way it keeps its entries."""

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from vidcompute.domain.job import Priority
from vidcompute.domain.retry import Backoff
from vidcompute.errors import QueueDown
from vidcompute.queue.base import PENALTY_S, EntryState, Lease, Queue
from vidcompute.queue.memory import MemoryQueue

HIGH, NORMAL, LOW = Priority.HIGH, Priority.NORMAL, Priority.LOW
READY, DELAYED, LEASED, DEAD, GONE = EntryState

BACKOFF = Backoff(base_s=10.0, cap_s=60.0, max_failures=3)
MAX_DELIVERIES = 3


class HandClock:
    """Seconds since the epoch that pass only when told to."""

    def __init__(self) -> None:
        self.now_s = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now_s


@dataclass
class Bench:
    """A queue and the hand on its clock. Jitter is off: a wait is always half of its ceiling."""

    queue: Queue
    clock: Any

    def advance(self, seconds: float) -> None:
        self.clock.now_s += seconds


def memory_bench() -> Bench:
    clock = HandClock()
    queue = MemoryQueue(backoff=BACKOFF, max_deliveries=MAX_DELIVERIES, clock=clock, random=lambda: 0.5)
    return Bench(queue, clock)


@pytest.fixture(params=[memory_bench], ids=["memory"])
async def bench(request):
    made = request.param()
    yield made
    await made.queue.close()


@pytest.fixture
def queue(bench) -> Queue:
    return bench.queue


async def one(queue: Queue, for_s: float = 30.0) -> Lease:
    """The next lease, of which there must be one."""
    (lease,) = await queue.lease(1, for_s=for_s)
    return lease


async def order(queue: Queue) -> list[str]:
    """All ready ids in the order of delivery."""
    return [lease.job_id for lease in await queue.lease(100, for_s=1e6)]


# Order


async def test_first_come_first_served_inside_a_class(queue):
    for job in ("a", "b", "c"):
        await queue.enqueue(job, priority=NORMAL)

    assert await order(queue) == ["a", "b", "c"]


async def test_better_class_overtakes(queue):
    await queue.enqueue("low", priority=LOW)
    await queue.enqueue("normal", priority=NORMAL)
    await queue.enqueue("high", priority=HIGH)

    assert await order(queue) == ["high", "normal", "low"]


@pytest.mark.parametrize(("worse", "better"), [(NORMAL, HIGH), (LOW, NORMAL), (LOW, HIGH)])
async def test_worse_class_is_overtaken_for_the_difference_of_penalties_only(bench, queue, worse, better):
    await queue.enqueue("patient", priority=worse)
    bench.advance(PENALTY_S[worse] - PENALTY_S[better] - 1)
    await queue.enqueue("overtakes", priority=better)
    bench.advance(2)
    await queue.enqueue("too late", priority=better)

    assert await order(queue) == ["overtakes", "patient", "too late"]


async def test_lease_hands_out_no_more_than_asked(queue):
    for job in ("a", "b", "c"):
        await queue.enqueue(job, priority=NORMAL)

    leases = await queue.lease(2, for_s=30)

    assert [lease.job_id for lease in leases] == ["a", "b"]
    assert await queue.lease(0, for_s=30) == []


async def test_position_counts_those_ahead_over_all_classes(queue):
    await queue.enqueue("low", priority=LOW)
    await queue.enqueue("n1", priority=NORMAL)
    await queue.enqueue("n2", priority=NORMAL)
    await queue.enqueue("high", priority=HIGH)

    assert [await queue.position(job) for job in ("high", "n1", "n2", "low")] == [0, 1, 2, 3]


async def test_position_is_none_unless_ready(queue):
    await queue.enqueue("leased", priority=HIGH)
    await one(queue)
    await queue.enqueue("later", priority=HIGH, delay_s=5)

    assert [await queue.position(job) for job in ("leased", "later", "stranger")] == [None, None, None]


# Identity


@pytest.mark.parametrize("settle", ["ready", "delayed", "leased"])
async def test_a_known_id_is_not_added_twice(queue, settle):
    await queue.enqueue("a", priority=LOW, delay_s=60 if settle == "delayed" else 0)
    if settle == "leased":
        await one(queue)

    assert await queue.enqueue("a", priority=HIGH) is False
    assert await queue.state("a") == settle
    assert (await queue.stats()).depth == {(LOW, EntryState(settle)): 1}


async def test_a_dead_id_may_be_added_again_and_starts_afresh(queue):
    await queue.enqueue("a", priority=LOW)
    await queue.bury(await one(queue), cause="hopeless")

    assert await queue.enqueue("a", priority=HIGH) is True
    lease = await one(queue)

    assert (lease.priority, lease.deliveries) == (HIGH, 1)
    assert await queue.dead() == []


async def test_an_acked_id_may_be_added_again(queue):
    await queue.enqueue("a", priority=NORMAL)
    await queue.ack(await one(queue))

    assert await queue.enqueue("a", priority=NORMAL) is True


async def test_tokens_never_repeat(queue):
    tokens = set()
    for _ in range(20):
        await queue.enqueue("a", priority=NORMAL)
        lease = await one(queue)
        tokens.add(lease.token)
        await queue.ack(lease)

    assert len(tokens) == 20


# Delay


async def test_delayed_entry_is_not_delivered_before_it_is_due(bench, queue):
    await queue.enqueue("a", priority=NORMAL, delay_s=10)
    bench.advance(9.9)
    assert await queue.lease(1, for_s=30) == []
    assert await queue.state("a") is DELAYED

    bench.advance(0.2)

    assert (await one(queue)).job_id == "a"


async def test_delayed_entry_does_not_overtake_those_who_came_before_it_was_due(bench, queue):
    await queue.enqueue("later", priority=NORMAL, delay_s=10)
    bench.advance(5)
    await queue.enqueue("now", priority=NORMAL)
    bench.advance(10)

    assert await order(queue) == ["now", "later"]


# Leases


async def test_leased_entry_is_not_delivered_to_anybody_else(bench, queue):
    await queue.enqueue("a", priority=NORMAL)
    await one(queue, for_s=30)
    bench.advance(29)

    assert await queue.lease(1, for_s=30) == []
    assert await queue.state("a") is LEASED


async def test_expired_lease_returns_after_its_back_off(bench, queue):
    await queue.enqueue("a", priority=NORMAL)
    await one(queue, for_s=30)

    bench.advance(31)
    assert await queue.state("a") is DELAYED
    bench.advance(5)

    assert (await one(queue)).deliveries == 2


async def test_extend_holds_a_lease_from_now(bench, queue):
    await queue.enqueue("a", priority=NORMAL)
    lease = await one(queue, for_s=30)

    for _ in range(5):
        bench.advance(29)
        assert await queue.extend([lease], for_s=30) == frozenset()

    assert await queue.state("a") is LEASED


async def test_extend_may_also_shorten_a_lease(bench, queue):
    await queue.enqueue("a", priority=NORMAL)
    await queue.extend([await one(queue, for_s=1000)], for_s=1)

    bench.advance(2)

    assert await queue.state("a") is DELAYED


async def test_extend_returns_exactly_the_lost_leases(bench, queue):
    for job in ("a", "b", "c"):
        await queue.enqueue(job, priority=NORMAL)
    kept, cancelled, acked = await queue.lease(3, for_s=30)
    await queue.cancel("b")
    await queue.ack(acked)

    assert await queue.extend([kept, cancelled, acked], for_s=30) == {cancelled, acked}


async def test_late_finisher_is_refused_and_changes_nothing(bench, queue):
    await queue.enqueue("a", priority=NORMAL)
    late = await one(queue, for_s=30)
    bench.advance(31)
    before = await queue.stats()

    assert await queue.ack(late) is False
    assert await queue.nack(late, cause="too late") is GONE
    assert await queue.bury(late, cause="too late") is False
    assert await queue.release(late) is False
    assert await queue.extend([late], for_s=30) == {late}

    assert await queue.stats() == before
    assert await queue.state("a") is DELAYED


async def test_late_finisher_cannot_settle_the_next_holders_lease(bench, queue):
    await queue.enqueue("a", priority=NORMAL)
    late = await one(queue, for_s=30)
    bench.advance(100)
    current = await one(queue, for_s=30)

    assert await queue.ack(late) is False
    assert await queue.nack(late, cause="too late") is GONE
    assert await queue.extend([late, current], for_s=30) == {late}

    assert await queue.ack(current) is True


async def test_ack_forgets_the_entry_and_works_once(queue):
    await queue.enqueue("a", priority=NORMAL)
    lease = await one(queue)

    assert [await queue.ack(lease), await queue.ack(lease)] == [True, False]
    assert await queue.state("a") is GONE
    assert (await queue.stats()).depth == {}


async def test_an_invented_token_settles_nothing(queue):
    await queue.enqueue("a", priority=NORMAL)
    real = await one(queue)
    forged = Lease(real.job_id, "0" * 32, real.priority, real.deliveries)

    assert await queue.ack(forged) is False
    assert await queue.ack(real) is True


# Failure


async def test_nack_backs_off_by_the_number_of_deliveries(bench, queue):
    await queue.enqueue("a", priority=NORMAL)
    assert await queue.nack(await one(queue), cause="oops") is DELAYED
    bench.advance(5)
    assert await queue.nack(await one(queue), cause="oops") is DELAYED

    bench.advance(9.9)
    assert await queue.state("a") is DELAYED
    bench.advance(0.2)

    assert await queue.state("a") is READY


async def test_nack_uses_the_callers_delay_when_given(bench, queue):
    await queue.enqueue("a", priority=NORMAL)
    assert await queue.nack(await one(queue), cause="busy", delay_s=100) is DELAYED
    bench.advance(99)
    assert await queue.state("a") is DELAYED

    bench.advance(2)

    assert await queue.state("a") is READY


async def test_nack_without_delay_is_ready_at_once_at_its_old_place(queue):
    await queue.enqueue("first", priority=NORMAL)
    await queue.enqueue("second", priority=NORMAL)

    assert await queue.nack(await one(queue), cause="again", delay_s=0) is READY

    assert await order(queue) == ["first", "second"]


async def test_used_up_deliveries_bury_the_entry_with_its_last_cause(queue):
    await queue.enqueue("a", priority=HIGH)

    states = [await queue.nack(await one(queue), cause=f"failure {n}", delay_s=0) for n in (1, 2, 3)]

    assert states == [READY, READY, DEAD]
    (letter,) = await queue.dead()
    assert (letter.job_id, letter.priority, letter.cause, letter.deliveries) == ("a", HIGH, "failure 3", 3)


async def test_leases_that_keep_expiring_bury_the_entry(bench, queue):
    await queue.enqueue("a", priority=NORMAL)

    for _ in range(MAX_DELIVERIES):
        await one(queue, for_s=30)
        bench.advance(1000)

    assert await queue.state("a") is DEAD
    assert (await queue.dead())[0].cause == "lease expired"


async def test_bury_moves_to_the_dead_letters_at_once(bench, queue):
    await queue.enqueue("a", priority=NORMAL)
    lease = await one(queue)
    bench.advance(7)

    assert [await queue.bury(lease, cause="bad input"), await queue.bury(lease, cause="again")] == [True, False]

    (letter,) = await queue.dead()
    assert (letter.cause, letter.deliveries, letter.died_at_s) == ("bad input", 1, bench.clock.now_s)
    assert await queue.lease(1, for_s=30) == []


async def test_dead_letters_are_listed_latest_first_up_to_the_limit(bench, queue):
    for job in ("a", "b", "c"):
        await queue.enqueue(job, priority=NORMAL)
        await queue.bury(await one(queue), cause="no")
        bench.advance(1)

    assert [letter.job_id for letter in await queue.dead(limit=2)] == ["c", "b"]


async def test_requeue_starts_a_dead_entry_afresh_at_the_end(queue):
    await queue.enqueue("a", priority=NORMAL)
    await queue.bury(await one(queue), cause="no")
    await queue.enqueue("b", priority=NORMAL)

    assert [await queue.requeue("a"), await queue.requeue("a")] == [True, False]

    leases = await queue.lease(2, for_s=30)
    assert [(lease.job_id, lease.deliveries) for lease in leases] == [("b", 1), ("a", 1)]


async def test_requeue_revives_only_the_dead(queue):
    await queue.enqueue("ready", priority=NORMAL)

    assert [await queue.requeue(job) for job in ("ready", "stranger")] == [False, False]


# Giving back


async def test_release_keeps_the_place_and_does_not_count(queue):
    await queue.enqueue("first", priority=NORMAL)
    await queue.enqueue("second", priority=NORMAL)
    lease = await one(queue)

    assert [await queue.release(lease), await queue.release(lease)] == [True, False]

    again = await one(queue)
    assert (again.job_id, again.deliveries) == ("first", 1)
    assert again.token != lease.token


async def test_release_never_uses_up_deliveries(queue):
    await queue.enqueue("a", priority=NORMAL)

    for _ in range(3 * MAX_DELIVERIES):
        await queue.release(await one(queue))

    assert await queue.state("a") is READY


# Cancel


@pytest.mark.parametrize("where", ["ready", "delayed", "leased", "dead"])
async def test_cancel_forgets_an_entry_wherever_it_is(queue, where):
    await queue.enqueue("a", priority=NORMAL, delay_s=60 if where == "delayed" else 0)
    if where == "leased":
        await one(queue)
    if where == "dead":
        await queue.bury(await one(queue), cause="no")
    assert await queue.state("a") == where

    assert [await queue.cancel("a"), await queue.cancel("a")] == [True, False]

    assert await queue.state("a") is GONE
    assert (await queue.stats()).depth == {}
    assert await queue.lease(1, for_s=30) == []


async def test_holder_of_a_cancelled_entry_learns_of_it_by_its_next_extend(queue):
    await queue.enqueue("a", priority=NORMAL)
    lease = await one(queue)
    await queue.cancel("a")

    assert await queue.extend([lease], for_s=30) == {lease}
    assert await queue.ack(lease) is False


async def test_lease_from_before_a_cancel_does_not_own_the_same_id_added_again(queue):
    await queue.enqueue("a", priority=NORMAL)
    old = await one(queue)
    await queue.cancel("a")
    await queue.enqueue("a", priority=NORMAL)

    assert await queue.ack(old) is False
    assert await queue.state("a") is READY


# Pause


async def test_paused_queue_hands_out_nothing_but_lets_holders_go_on(queue):
    await queue.enqueue("held", priority=NORMAL)
    await queue.enqueue("waits", priority=NORMAL)
    held = await one(queue)

    await queue.pause(paused=True)

    assert await queue.lease(1, for_s=30) == []
    assert (await queue.stats()).paused is True
    assert await queue.extend([held], for_s=30) == frozenset()
    assert await queue.ack(held) is True


async def test_resumed_queue_goes_on_where_it_was(queue):
    await queue.pause(paused=True)
    await queue.enqueue("a", priority=NORMAL)
    await queue.pause(paused=False)

    assert (await one(queue)).job_id == "a"


# Numbers


async def test_stats_count_by_class_and_state_and_age_the_oldest_ready(bench, queue):
    await queue.enqueue("h1", priority=HIGH)
    await one(queue)
    await queue.enqueue("l1", priority=LOW)
    bench.advance(10)
    await queue.enqueue("l2", priority=LOW)
    await queue.enqueue("n1", priority=NORMAL, delay_s=60)
    bench.advance(2)

    stats = await queue.stats()

    assert stats.depth == {(HIGH, LEASED): 1, (LOW, READY): 2, (NORMAL, DELAYED): 1}
    assert stats.oldest_ready_s == {LOW: pytest.approx(12)}


# Waiting


async def woken(queue: Queue, *, by, timeout_s: float = 60.0) -> None:
    """Wait in one task, act in another; the outer deadline turns a lost wake-up into a failure."""
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        group.create_task(queue.wait(timeout_s))
        await asyncio.sleep(0)
        await by


async def test_wait_returns_at_once_while_something_is_ready(queue):
    await queue.enqueue("a", priority=NORMAL)

    async with asyncio.timeout(5):
        await queue.wait(60)


async def test_wait_ends_by_itself(queue):
    async with asyncio.timeout(5):
        await queue.wait(0.01)


async def test_enqueue_wakes(queue):
    await woken(queue, by=queue.enqueue("a", priority=NORMAL))


async def test_release_wakes(queue):
    await queue.enqueue("a", priority=NORMAL)
    await woken(queue, by=queue.release(await one(queue)))


async def test_nack_without_delay_wakes(queue):
    await queue.enqueue("a", priority=NORMAL)
    await woken(queue, by=queue.nack(await one(queue), cause="again", delay_s=0))


async def test_requeue_wakes(queue):
    await queue.enqueue("a", priority=NORMAL)
    await queue.bury(await one(queue), cause="no")
    await woken(queue, by=queue.requeue("a"))


async def test_resume_wakes(queue):
    await queue.pause(paused=True)
    await queue.enqueue("a", priority=NORMAL)
    await woken(queue, by=queue.pause(paused=False))


async def test_paused_queue_does_not_spin_its_waiters(queue):
    await queue.pause(paused=True)
    await queue.enqueue("a", priority=NORMAL)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await queue.wait(60)


async def test_close_wakes(queue):
    await woken(queue, by=queue.close())


async def test_wait_returns_when_a_delayed_entry_falls_due(queue):
    await queue.enqueue("a", priority=NORMAL, delay_s=0.01)

    async with asyncio.timeout(5):
        await queue.wait(60)


async def test_wait_returns_when_a_lease_expires(queue):
    await queue.enqueue("a", priority=NORMAL)
    await one(queue, for_s=0.01)

    async with asyncio.timeout(5):
        await queue.wait(60)


async def test_every_waiter_is_woken(queue):
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(queue.wait(60))
        await asyncio.sleep(0)
        await queue.enqueue("a", priority=NORMAL)


async def test_closed_queue_says_that_it_is_down(bench):
    await bench.queue.close()

    with pytest.raises(QueueDown):
        await bench.queue.enqueue("a", priority=NORMAL)
