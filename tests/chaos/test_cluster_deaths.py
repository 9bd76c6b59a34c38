"""`kill -9` of anybody in the tree of a local cluster: what was below is gone, what was beside goes on."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.unit.cluster.deaths import living, parent_of, survivors
from vidcompute.cluster.local import LocalCluster
from vidcompute.domain.task import TaskEventKind, TaskKind, TaskSpec

PROGRESS, DONE, LOST = TaskEventKind.PROGRESS, TaskEventKind.DONE, TaskEventKind.LOST
ROOT = Path(__file__).parents[2]

#: A service with two busy trees. It prints whose pids they are and then does nothing but wait.
OWNER = """
import asyncio, json, signal
# A shell that starts a job in the background has it ignore SIGINT, and the tests with it.
signal.signal(signal.SIGINT, signal.default_int_handler)
from vidcompute.cluster.local import LocalCluster
from vidcompute.domain.task import TaskEventKind, TaskKind, TaskSpec

async def main():
    cluster = LocalCluster(environment={}, entry="tests.unit.cluster.entries:run")
    for name in ("a", "b"):
        spec = TaskSpec(name, "j", "default", 1, TaskKind.CHUNK, "c", {"do": "family"})
        await cluster.start(spec, "local")
    pids = [cluster._server._guard.pid]
    async for event in cluster.events():
        pids += event.data.get("pids", [])
        if len(pids) == 9:
            print(json.dumps(pids), flush=True)

asyncio.run(main())
"""


@pytest.fixture
def owner():
    environment = {"PATH": os.defpath, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    with subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True, env=environment) as process:
        yield process
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_death_of_the_owner_takes_everything_with_it(owner, number):
    pids = json.loads(owner.stdout.readline())
    pids.append(parent_of(pids[1]))
    assert living(pids) == pids

    owner.send_signal(number)
    owner.wait(30)

    assert survivors(pids, patience_s=5.0) == []


@asynccontextmanager
async def busy_cluster():
    """A cluster with two families at work; yields it, its events, and the pids of guard, zygote and families."""
    cluster = LocalCluster(environment={}, entry="tests.unit.cluster.entries:run")
    try:
        families = {}
        events = cluster.events()
        for name in ("a", "b"):
            await cluster.start(TaskSpec(name, "j", "default", 1, TaskKind.CHUNK, "c", {"do": "family"}), "local")
        while len(families) < 2:
            event = await anext(events)
            if event.kind is PROGRESS:
                families[event.task_id] = event.data["pids"]
        zygote = parent_of(families["a"][0])
        yield cluster, events, parent_of(zygote), zygote, families
        await events.aclose()
    finally:
        await cluster.close()


async def finals(events, count):
    found = []
    async with asyncio.timeout(30):
        while len(found) < count:
            event = await anext(events)
            if event.kind.final:
                found.append(event)
    return found


async def test_death_of_the_zygote_loses_all_tasks_and_the_next_start_works():
    async with busy_cluster() as (cluster, events, _, zygote, families):
        os.kill(zygote, signal.SIGKILL)

        lost = await finals(events, 2)

        assert {(event.task_id, event.kind) for event in lost} == {("a", LOST), ("b", LOST)}
        assert living([*families["a"], *families["b"]]) == []
        await cluster.start(
            TaskSpec("a", "j", "default", 1, TaskKind.CHUNK, "c", {"do": "progress", "steps": 1}), "local"
        )
        assert (await finals(events, 1))[0].kind is DONE


async def test_death_of_the_guard_loses_all_tasks_and_the_next_start_works():
    async with busy_cluster() as (cluster, events, guard, zygote, families):
        os.kill(guard, signal.SIGKILL)

        lost = await finals(events, 2)

        assert {event.kind for event in lost} == {LOST}
        assert survivors([zygote, families["a"][0], families["b"][0]], patience_s=5.0) == []
        await cluster.start(
            TaskSpec("c", "j", "default", 1, TaskKind.CHUNK, "c", {"do": "progress", "steps": 1}), "local"
        )
        assert (await finals(events, 1))[0].kind is DONE
        # Nobody is left to hunt those that are tied to no one; every child that we start in earnest is.
        for pid in [*families["a"], *families["b"]]:
            if living([pid]):
                os.kill(pid, signal.SIGKILL)


async def test_death_of_a_task_takes_its_family_and_spares_the_others():
    async with busy_cluster() as (_, events, _, _, families):
        os.kill(families["a"][0], signal.SIGKILL)

        (lost,) = await finals(events, 1)

        assert (lost.task_id, lost.kind, lost.data["signal"]) == ("a", LOST, "SIGKILL")
        assert living(families["a"]) == []
        assert living(families["b"]) == families["b"]


async def test_tasks_that_die_at_the_same_moment_are_each_reported_once():
    async with busy_cluster() as (_, events, _, _, families):
        for family in families.values():
            os.kill(family[0], signal.SIGKILL)

        lost = await finals(events, 2)

        assert sorted(event.task_id for event in lost) == ["a", "b"]
        assert living([pid for family in families.values() for pid in family]) == []
