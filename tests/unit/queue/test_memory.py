"""What only the memory queue promises: cost that does not grow with its depth."""

from vidcompute.domain.job import Priority
from vidcompute.domain.retry import Backoff
from vidcompute.queue.memory import MemoryQueue

BACKOFF = Backoff(base_s=1.0, cap_s=60.0, max_failures=3)


async def test_ten_thousand_entries_drain_in_order():
    now_s = 0.0
    queue = MemoryQueue(backoff=BACKOFF, clock=lambda: now_s, random=lambda: 0.5)
    for number in range(10_000):
        await queue.enqueue(str(number), priority=Priority.NORMAL)

    drained = []
    while leases := await queue.lease(100, for_s=30):
        for lease in leases:
            await queue.ack(lease)
            drained.append(int(lease.job_id))

    assert drained == list(range(10_000))


async def test_endless_extending_and_cancelling_keeps_memory_flat():
    now_s = 0.0
    queue = MemoryQueue(backoff=BACKOFF, clock=lambda: now_s, random=lambda: 0.5)
    await queue.enqueue("held", priority=Priority.NORMAL)
    held = await queue.lease(1, for_s=30)

    for number in range(3_000):
        now_s += 1
        await queue.extend(held, for_s=30)
        await queue.enqueue(f"c{number}", priority=Priority.LOW)
        await queue.cancel(f"c{number}")

    heaps = [queue._timers, *queue._ready.values()]
    assert max(len(heap._items) for heap in heaps) < 100
    assert len(queue._entries) == 1


async def test_jitter_comes_from_the_given_source():
    now_s, share = 0.0, 0.25
    queue = MemoryQueue(
        backoff=Backoff(base_s=8.0, cap_s=60.0, max_failures=3), clock=lambda: now_s, random=lambda: share
    )
    await queue.enqueue("a", priority=Priority.NORMAL)
    await queue.nack((await queue.lease(1, for_s=30))[0], cause="no")

    now_s = 1.9
    early = await queue.lease(1, for_s=30)
    now_s = 2.0

    assert early == []
    assert len(await queue.lease(1, for_s=30)) == 1
