"""Whatever is asked of jobs in whatever order, only legal moves happen and what is derived stays true.

The model knows the table of moves in `store.jobs` and nothing else; the store is real.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fixtures.postgres import Clock
from vidcompute.domain.job import JobSpec, JobStatus
from vidcompute.errors import Conflict, LeaseLost, NotFound, Problem
from vidcompute.store.db import Database
from vidcompute.store.jobs import JobStore

TENANT = "default"
PROBLEM = Problem("encoder_failed", "t", "d", "h", retryable=True)
LEGAL = {
    (None, "queued"),
    ("queued", "running"),
    ("running", "running"),
    ("running", "queued"),
    ("queued", "canceled"),
    ("running", "succeeded"),
    ("running", "failed"),
    ("running", "canceled"),
    ("failed", "queued"),
    ("canceled", "queued"),
}
ACTIONS = [
    "begin",
    "cancel_request",
    "retry",
    "delete",
    "succeed",
    "fail",
    "fail_for_good",
    "canceled",
    "release",
    "log",
]
#: (job, action, attempt to write with: 0 is the current one, 1 the one before)
STEPS = st.lists(st.tuples(st.integers(0, 2), st.sampled_from(ACTIONS), st.integers(0, 1)), max_size=25)


class World:
    """Three jobs, and what a careful observer notes of them."""

    def __init__(self, store, clock):
        self.store = store
        self.clock = clock
        self.ids = []
        self.attempts = {}
        self.deleted = set()

    async def start(self):
        for _ in range(3):
            created = await self.store.create(tenant_id=TENANT, spec=JobSpec(input="file:///a"), name="a")
            self.ids.append(created.job.id)
            self.attempts[created.job.id] = 0

    async def act(self, job_id, action, behind):
        self.clock.advance(1)
        store, attempt = self.store, self.attempts[job_id] - behind
        acts = {
            "begin": lambda: self._begin(job_id),
            "cancel_request": lambda: store.request_cancel(TENANT, job_id),
            "retry": lambda: store.retry(TENANT, job_id),
            "delete": lambda: self._delete(job_id),
            "succeed": lambda: store.succeed(job_id, attempt),
            "fail": lambda: store.fail(job_id, attempt, PROBLEM, counted=True, retry_at=self.clock(), dead=False),
            "fail_for_good": lambda: store.fail(job_id, attempt, PROBLEM, counted=True, retry_at=None, dead=True),
            "canceled": lambda: store.cancel(job_id, attempt),
            "release": lambda: store.release(job_id, attempt),
            "log": lambda: store.log(job_id, attempt, level="info", message="m"),
        }
        await acts[action]()

    async def _begin(self, job_id):
        job = await self.store.begin(job_id, node="n")
        if job is not None:
            assert job.attempt == self.attempts[job_id] + 1
            self.attempts[job_id] = job.attempt

    async def _delete(self, job_id):
        await self.store.delete(TENANT, job_id)
        self.deleted.add(job_id)

    async def check(self):
        found = Counter()
        for job_id in set(self.ids) - self.deleted:
            job = await self.store.get(TENANT, job_id)
            found[job.status] += 1
            assert job.attempt == self.attempts[job_id]
            assert (job.status is JobStatus.RUNNING) == (job.heartbeat_at is not None)
            assert job.status.terminal == (job.finished_at is not None)
            assert not job.dead_letter or job.status is JobStatus.FAILED
            self._check_log(job, await self.store.events(TENANT, job_id, limit=10_000))
            open_attempts = [item for item in await self.store.attempts(TENANT, job_id) if item.outcome is None]
            assert len(open_attempts) == (job.status is JobStatus.RUNNING)
        assert await self.store.counts(TENANT) == {status: found[status] for status in JobStatus}

    def _check_log(self, job, events):
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        states = [event for event in events if event.kind == "state"]
        moves = [None] + [event.data["status"] for event in states]
        assert set(itertools.pairwise(moves)) <= LEGAL
        for before, after in itertools.pairwise(states):
            if before.data["status"] == after.data["status"]:
                # Taken over by the next attempt, or asked to end: a state of its own, without a move.
                assert after.data["attempt"] == before.data["attempt"] + 1 or after.data["cancel_requested"]
        assert moves[-1] == job.status
        assert (events[-1].kind == "end") == job.status.terminal
        ends = [event.seq for event in events if event.kind == "end"]
        assert len(ends) == sum(JobStatus(event.data["status"]).terminal for event in states)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_only_legal_moves_happen(database_dsn, steps):
    asyncio.run(_live(database_dsn, steps))


async def _live(dsn, steps):
    clock = Clock()
    async with Database(dsn, max_size=1) as database:
        async with database.transaction() as connection:
            await connection.execute("DELETE FROM jobs")
        world = World(JobStore(database, clock=clock), clock)
        await world.start()
        for number, action, behind in steps:
            before = await _snapshot(world)
            try:
                await world.act(world.ids[number], action, behind)
            except (Conflict, LeaseLost, NotFound):
                # A refusal is whole: nothing moved.
                assert await _snapshot(world) == before
        await world.check()


async def _snapshot(world):
    page = await world.store.list(TENANT)
    return [(job.id, job.status, job.attempt, job.revision) for job in page.items]
