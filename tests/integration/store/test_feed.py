"""What followers of a job hear, and after what."""

from __future__ import annotations

import asyncio
import uuid

import psycopg
import pytest

from tests.integration.store.making import TENANT, new_job, running_job
from vidcompute.domain.job import Phase
from vidcompute.errors import StoreDown
from vidcompute.store.feed import EventFeed
from vidcompute.store.pg_settings import Role


@pytest.fixture
async def feed(database, database_dsn):
    """Entered and left by one task, as the service does."""
    opened: asyncio.Queue[EventFeed] = asyncio.Queue()
    done = asyncio.Event()

    async def hold():
        async with EventFeed(database_dsn) as listening:
            opened.put_nowait(listening)
            await done.wait()

    async with asyncio.TaskGroup() as group:
        group.create_task(hold())
        yield await opened.get()
        done.set()


async def caught_up(feed, database):
    """Return when everything that was committed before has been heard: notifications come in order of commit."""
    marker = uuid.uuid4()
    async with feed.follow(f"job_{marker.hex}") as changes:
        async with database.transaction() as connection:
            await connection.execute("SELECT pg_notify('job_events', %s)", (str(marker),))
        assert await changes.wait(20)


async def roll_back_a_notice(database, job):
    async with database.transaction() as connection:
        await connection.execute("SELECT pg_notify('job_events', %s)", (job.id.removeprefix("job_"),))
        raise RuntimeError


async def test_a_change_wakes_who_waits_for_that_job_and_nobody_else(feed, job_store, database):
    mine, other = await new_job(job_store), await new_job(job_store)
    await caught_up(feed, database)
    async with feed.follow(mine.id) as changes, feed.follow(other.id) as silence:
        await job_store.request_cancel(TENANT, mine.id)

        await caught_up(feed, database)
        assert await changes.wait(0)
        assert not await silence.wait(0)


async def test_what_happens_between_looking_and_waiting_is_not_missed(feed, job_store, database):
    job = await new_job(job_store)
    await caught_up(feed, database)
    async with feed.follow(job.id) as changes:
        await job_store.request_cancel(TENANT, job.id)
        await caught_up(feed, database)

        assert await changes.wait(0)
        assert not await changes.wait(0)


async def test_progress_wakes_although_it_is_not_logged(feed, job_store):
    job = await running_job(job_store)
    async with feed.follow(job.id) as changes:
        await job_store.progress(job.id, job.attempt, phase=Phase.PROBING, progress={"percent": 1})

        assert await changes.wait(10)


async def test_the_dashboard_hears_of_every_job(feed, job_store):
    async with feed.follow(None) as changes:
        await new_job(job_store)

        assert await changes.wait(10)


async def test_a_change_that_is_rolled_back_wakes_nobody(feed, job_store, database):
    job = await new_job(job_store)
    await caught_up(feed, database)
    async with feed.follow(job.id) as changes:
        with pytest.raises(RuntimeError):
            await roll_back_a_notice(database, job)
        await caught_up(feed, database)

        assert not await changes.wait(0)


async def test_waiting_ends_at_its_time_and_for_ids_that_cannot_exist(feed):
    assert not await feed.wait("nonsense", 0.01)
    assert not await feed.wait("job_" + "0" * 32, timeout_s=0.01)


async def test_a_lost_connection_is_made_anew_and_everybody_looks_again(feed, job_store, postgres):
    job = await new_job(job_store)
    async with feed.follow(job.id) as changes:
        async with await psycopg.AsyncConnection.connect(postgres.url_for(Role.ADMIN), autocommit=True) as admin:
            await admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE query LIKE 'LISTEN%' AND pid <> pg_backend_pid()"
            )

        assert await changes.wait(20)
        await job_store.request_cancel(TENANT, job.id)
        assert await changes.wait(20)


async def test_a_thousand_followers_share_one_connection(feed, job_store, database):
    jobs = [await new_job(job_store) for _ in range(10)]

    async with asyncio.TaskGroup() as group:
        waits = [group.create_task(feed.wait(jobs[number % 10].id, 20)) for number in range(1000)]
        await asyncio.sleep(0)
        async with database.transaction() as connection:
            cursor = await connection.execute(
                "SELECT count(*) AS n FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND pid <> pg_backend_pid()"
            )
            listeners = (await cursor.fetchone())["n"]
        for job in jobs:
            await job_store.request_cancel(TENANT, job.id)

    assert all(task.result() for task in waits)
    assert listeners == 1


async def test_a_feed_that_cannot_connect_says_so_at_once():
    with pytest.raises(StoreDown):
        async with EventFeed("postgresql://nobody@/none?host=/nonexistent"):
            pass
