"""What only the local cluster promises: what a task process is made of, and how its zygote fares."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from tests.unit.cluster.deaths import living, open_descriptors, parent_of
from vidcompute.cluster import machine
from vidcompute.cluster.local import LocalCluster
from vidcompute.domain.task import Resources, TaskEventKind, TaskKind, TaskSpec
from vidcompute.errors import WorkerLost

DONE, FAILED, LOST = TaskEventKind.DONE, TaskEventKind.FAILED, TaskEventKind.LOST


@asynccontextmanager
async def cluster_with(**options):
    cluster = LocalCluster(environment={"secret": "hunter2"}, **{"entry": "tests.unit.cluster.entries:run", **options})
    try:
        yield cluster
    finally:
        await cluster.close()


async def run(cluster, do, **params):
    """The final event of a task that is the only one."""
    await cluster.start(TaskSpec("t", "j", "default", 1, TaskKind.PROBE, "probe", {"do": do, **params}), "local")
    async with asyncio.timeout(30):
        async for event in cluster.events():
            if event.kind.final:
                return event
    raise AssertionError("the events ended before the task did")


async def test_task_process_is_clean_and_its_own():
    async with cluster_with() as cluster:
        found = (await run(cluster, "surroundings")).data

    assert found["session"] is True
    assert found["threads"] == 1
    assert found["sigterm"] is True
    assert found["blocked"] == 0
    assert found["omp"] is True
    # stdin, stdout, stderr and the event pipe.
    assert len(found["fds"]) == 4


async def test_secrets_are_neither_in_argv_nor_in_the_environment_variables():
    async with cluster_with() as cluster:
        found = (await run(cluster, "surroundings")).data

    assert "hunter2" not in found["argv"] + found["environ"]


async def test_preloaded_modules_are_there_from_the_start():
    async with cluster_with(preload=["wave"]) as cluster:
        loaded = (await run(cluster, "surroundings")).data["modules"]
    async with cluster_with() as cluster:
        not_loaded = (await run(cluster, "surroundings")).data["modules"]

    assert (loaded, not_loaded) == (True, False)


async def test_module_that_cannot_be_preloaded_is_noticed_and_costs_nothing_else():
    noticed = []

    async with cluster_with(
        preload=["no_such_module"], notice=lambda event, **fields: noticed.append((event, fields["module"]))
    ) as cluster:
        final = await run(cluster, "progress", steps=1)

    assert final.kind is DONE
    assert noticed == [("zygote.preload_failed", "no_such_module")]


async def test_entry_that_does_not_exist_fails_each_task_with_the_reason():
    async with cluster_with(entry="no_such_module:run") as cluster:
        final = await run(cluster, "echo")

    assert final.kind is FAILED
    assert "no_such_module" in final.data["detail"]


async def test_resources_are_those_of_the_machine_unless_given():
    async with cluster_with() as detected, cluster_with(resources=Resources(1, 2, 3)) as given:
        assert (await detected.nodes())[0].total == machine.detect()
        assert (await given.nodes())[0].total == Resources(1, 2, 3)


async def test_opening_ahead_starts_the_zygote_once():
    async with cluster_with() as cluster:
        await cluster.open()
        first = cluster._server
        await cluster.open()
        await run(cluster, "progress", steps=0)

        assert cluster._server is first


async def test_simultaneous_first_starts_share_one_zygote():
    async with cluster_with() as cluster:
        async with asyncio.TaskGroup() as group:
            for number in range(4):
                spec = TaskSpec(f"t{number}", "j", "default", 1, TaskKind.PROBE, "p", {"do": "hang_forever"})
                group.create_task(cluster.start(spec, "local"))
        (node,) = await cluster.nodes()

        assert node.free.cpu == max(0, node.total.cpu - 4)
        assert len(cluster._running) == 4


async def test_cancelled_start_leaves_nothing_running():
    spec = TaskSpec("t", "j", "default", 1, TaskKind.PROBE, "p", {"do": "hang_forever"})
    async with cluster_with() as cluster:
        await cluster.open()
        async with asyncio.TaskGroup() as group:
            starting = group.create_task(cluster.start(spec, "local"))
            await asyncio.sleep(0)
            starting.cancel()
        await cluster.stop("t")

        assert cluster._running == {}


async def test_task_stopped_before_its_zygote_is_there_does_not_begin():
    spec = TaskSpec("t", "j", "default", 1, TaskKind.PROBE, "p", {"do": "hang_forever"})

    async def start_in_vain(cluster):
        with pytest.raises(WorkerLost, match="stopped"):
            await cluster.start(spec, "local")

    async with cluster_with() as cluster, asyncio.TaskGroup() as group:
        group.create_task(start_in_vain(cluster))
        await asyncio.sleep(0)
        await cluster.stop("t", grace_s=30)


async def test_zygote_that_cannot_start_is_a_loss(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.executable", str(tmp_path / "no-python"))

    async with cluster_with() as cluster:
        with pytest.raises(WorkerLost, match="could not be started"):
            await run(cluster, "echo")


async def test_zygote_that_dies_at_once_is_a_loss(monkeypatch):
    monkeypatch.setattr("sys.executable", "/bin/false")

    async with cluster_with() as cluster:
        with pytest.raises(WorkerLost, match="could not be started"):
            await run(cluster, "echo")


async def test_descriptors_are_given_back():
    async with cluster_with() as cluster:
        await run(cluster, "progress", steps=1)
        before = open_descriptors()
        for _ in range(5):
            await run(cluster, "progress", steps=1)
            await run(cluster, "killed")
        after = open_descriptors()

    assert after == before


async def test_close_leaves_no_process_of_ours():
    spec = TaskSpec("t", "j", "default", 1, TaskKind.PROBE, "p", {"do": "hang_forever"})
    async with cluster_with() as cluster:
        await cluster.start(spec, "local")
        task = (await anext(cluster.events())).data["pid"]
        zygote = parent_of(task)
        tree = [task, zygote, parent_of(zygote)]
        assert living(tree) == tree

    assert living(tree) == []
