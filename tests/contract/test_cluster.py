"""What every Cluster does, wherever its tasks run. The tasks are in tests/unit/cluster/entries.py."""

import asyncio
import os
import signal
from collections import defaultdict
from contextlib import asynccontextmanager

import pytest

from tests.unit.cluster.deaths import living
from vidcompute.cluster.local import LocalCluster
from vidcompute.domain.task import Resources, TaskEvent, TaskEventKind, TaskKind, TaskSpec
from vidcompute.errors import Conflict, WorkerLost

STARTED, PROGRESS, LOG, PARTIAL, DONE, FAILED, LOST = TaskEventKind
GIB = 2**30
ONE_CORE = Resources()
#: Far beyond what anything here takes; reached only if something hangs.
PATIENCE_S = 30.0


def spec(task_id, do, *, timeout_s=3600.0, resources=ONE_CORE, **params):
    return TaskSpec(
        task_id, "job_1", "default", 1, TaskKind.CHUNK, "chunk/0", {"do": do, **params}, resources, timeout_s
    )


class Bench:
    """A cluster of one node with 4 cores and 8 GiB, and the one reader of its events."""

    def __init__(self, cluster, node_id):
        self.cluster = cluster
        self.node_id = node_id
        self.heard: dict[str, list[TaskEvent]] = defaultdict(list)
        self._events = cluster.events()

    async def start(self, task_id, do, **options):
        await self.cluster.start(spec(task_id, do, **options), self.node_id)

    async def hear(self):
        async with asyncio.timeout(PATIENCE_S):
            event = await anext(self._events)
        self.heard[event.task_id].append(event)
        return event

    async def until(self, task_id, *kinds):
        """The next event of `task_id` that is of one of `kinds`, or its final one."""
        while True:
            event = await self.hear()
            if event.task_id == task_id and (event.kind in kinds or event.kind.final):
                return event

    async def run(self, task_id, do, **options):
        await self.start(task_id, do, **options)
        return await self.until(task_id)

    async def free(self):
        (node,) = await self.cluster.nodes()
        return node.free

    async def close(self):
        await self._events.aclose()
        await self.cluster.close()


@asynccontextmanager
async def local_bench():
    cluster = LocalCluster(
        node_id="here",
        resources=Resources(cpu=4, gpu=1, memory_bytes=8 * GIB),
        environment={"secret": "hunter2"},
        entry="tests.unit.cluster.entries:run",
    )
    bench = Bench(cluster, "here")
    try:
        yield bench
    finally:
        await bench.close()


@pytest.fixture(params=[local_bench], ids=["local"])
async def bench(request):
    async with request.param() as made:
        yield made


def kinds(events):
    return [event.kind for event in events]


# What goes in and comes out


async def test_task_gets_its_spec_and_the_environment_and_returns_a_result(bench):
    final = await bench.run("t", "echo", text="ä\n\x00", n=[1, 2.5, None])

    assert final.kind is DONE
    assert final.data == {
        "key": "chunk/0",
        "kind": "chunk",
        "params": {"do": "echo", "text": "ä\n\x00", "n": [1, 2.5, None]},
        "environment": {"secret": "hunter2"},
    }


async def test_spec_may_be_large(bench):
    final = await bench.run("t", "progress", steps=0, ballast="x" * 3_000_000)

    assert final.kind is DONE


async def test_events_come_in_order_once_between_started_and_the_final_one(bench):
    await bench.run("t", "progress", steps=500)

    events = bench.heard["t"]
    assert kinds(events) == [STARTED, *[PROGRESS] * 500, DONE]
    assert [event.data["percent"] for event in events[1:-1]] == list(range(500))


async def test_many_tasks_speak_without_mixing(bench):
    for number in range(8):
        await bench.start(f"t{number}", "progress", steps=100 + number)

    for number in range(8):
        if not (known := bench.heard[f"t{number}"]) or not known[-1].kind.final:
            await bench.until(f"t{number}")

    for number in range(8):
        events = bench.heard[f"t{number}"]
        assert kinds(events) == [STARTED, *[PROGRESS] * (100 + number), DONE]


async def test_task_cannot_speak_for_another(bench):
    await bench.run("t", "imposter")

    assert set(bench.heard) == {"t"}


async def test_task_cannot_end_itself_by_an_event(bench):
    final = await bench.run("t", "premature")

    assert final.kind is FAILED
    assert "must not say 'done'" in final.data["detail"]


async def test_printed_lines_become_log_events(bench):
    await bench.run("t", "print_a_little")

    said = [event.data["message"] for event in bench.heard["t"] if event.kind is LOG]
    assert said == ["to stdout", "to stderr", "from a child"]


# Failure


@pytest.mark.parametrize("do", ["raise_known", "raise_grouped"])
async def test_known_error_arrives_as_its_problem(bench, do):
    final = await bench.run("t", do)

    assert final.kind is FAILED
    assert (final.data["code"], final.data["detail"]) == ("encoder_failed", "ffmpeg exited 1")
    assert final.data["retryable"] is True


async def test_bug_arrives_with_its_traceback(bench):
    final = await bench.run("t", "raise_bug")

    assert final.kind is FAILED
    assert (final.data["code"], final.data["detail"]) == ("internal_error", "KeyError: 'missing'")
    assert "in raise_bug" in final.data["evidence"]["traceback"]


async def test_system_exit_is_a_failure(bench):
    assert (await bench.run("t", "leave")).kind is FAILED


async def test_unwieldy_evidence_does_not_hide_the_failure(bench):
    final = await bench.run("t", "huge_evidence")

    assert (final.kind, final.data["code"], final.data["evidence"]) == (FAILED, "encoder_failed", {})


async def test_crash_is_a_loss_that_names_the_signal_and_shows_where(bench):
    final = await bench.run("t", "segfault")

    assert (final.kind, final.data["signal"]) == (LOST, "SIGSEGV")
    assert "in segfault" in final.data["output_tail"]


async def test_killed_task_is_a_loss_and_others_go_on(bench):
    await bench.start("other", "hang_forever")
    other = (await bench.until("other", PROGRESS)).data["pid"]

    final = await bench.run("t", "killed")

    assert (final.kind, final.data["signal"], final.data["stopped"]) == (LOST, "SIGKILL", False)
    assert living([other]) == [other]
    assert (await bench.run("next", "progress", steps=1)).kind is DONE


async def test_process_that_leaves_without_a_word_is_a_loss_with_its_exit_code(bench):
    final = await bench.run("t", "leave_at_once")

    assert (final.kind, final.data["exit_code"], final.data["output_tail"]) == (LOST, 3, "last words")


async def test_task_over_its_time_is_ended_and_fails(bench):
    final = await bench.run("t", "ignore_sigterm", timeout_s=0.2)

    assert (final.kind, final.data["code"]) == (FAILED, "limit_exceeded")
    assert "limit of 0.2 s" in final.data["detail"]
    assert living([bench.heard["t"][0].data["pid"]]) == []


# Bounds


async def test_large_result_is_a_failure_that_says_so(bench):
    final = await bench.run("t", "huge_result")

    assert final.kind is FAILED
    assert "over the limit" in final.data["detail"]


async def test_large_event_is_refused_where_it_is_said(bench):
    assert (await bench.run("t", "huge_event")).kind is FAILED


async def test_unreadable_and_overlong_lines_become_short_log_events(bench):
    await bench.run("t", "huge_raw_line")

    events = bench.heard["t"]
    assert kinds(events) == [STARTED, LOG, LOG, LOG, DONE]
    assert all(len(str(event.data)) < 1000 for event in events)


async def test_output_is_bounded_and_its_end_is_kept(bench):
    await bench.run("t", "print_much", bytes=100_000_000)

    events = bench.heard["t"]
    assert events[-1].kind is DONE
    assert sum(len(event.data["message"]) for event in events if event.kind is LOG) < 400_000
    assert any("the rest is dropped" in event.data["message"] for event in events if event.kind is LOG)


async def test_chatty_task_waits_for_its_listener(bench):
    await bench.start("chatty", "progress", steps=100_000)
    await bench.until("chatty", PROGRESS)

    # Nobody listens to it while another task comes and goes.
    await bench.start("quick", "progress", steps=0)
    waiting = len(bench.cluster._said) if hasattr(bench.cluster, "_said") else 0
    final = await bench.until("chatty")

    assert waiting < 5_000
    assert final.kind is DONE
    assert kinds(bench.heard["chatty"]).count(PROGRESS) == 100_000


# Stopping


async def test_stop_ends_a_task_by_sigterm(bench):
    await bench.start("t", "hang_forever")
    pid = (await bench.until("t", PROGRESS)).data["pid"]

    await bench.cluster.stop("t")

    assert living([pid]) == []
    final = await bench.until("t")
    assert (final.kind, final.data["signal"], final.data["stopped"]) == (LOST, "SIGTERM", True)


async def test_stop_kills_what_ignores_sigterm(bench):
    await bench.start("t", "ignore_sigterm")
    pid = (await bench.until("t", PROGRESS)).data["pid"]

    await bench.cluster.stop("t", grace_s=0.05)

    assert living([pid]) == []
    assert (await bench.until("t")).data["signal"] == "SIGKILL"


async def test_stopped_task_may_say_goodbye(bench):
    await bench.start("t", "polite")
    await bench.until("t", PROGRESS)

    await bench.cluster.stop("t", grace_s=PATIENCE_S)

    assert (await bench.until("t")).data["detail"] == "asked to stop"


async def test_stop_kills_the_whole_tree(bench):
    await bench.start("t", "family")
    pids = (await bench.until("t", PROGRESS)).data["pids"]
    assert len(pids) == 4

    await bench.cluster.stop("t", grace_s=0.05)

    assert living(pids) == []


async def test_finished_task_leaves_nobody_behind(bench):
    await bench.start("t", "family", then="finish")
    pids = (await bench.until("t", PROGRESS)).data["pids"]

    await bench.until("t")

    assert living(pids) == []


async def test_stop_of_one_tree_spares_the_others(bench):
    await bench.start("spared", "family")
    spared = (await bench.until("spared", PROGRESS)).data["pids"]
    await bench.start("t", "family")
    await bench.until("t", PROGRESS)

    await bench.cluster.stop("t", grace_s=0.05)

    assert living(spared) == spared


async def test_stop_of_an_unknown_or_finished_task_is_no_error(bench):
    await bench.run("t", "progress", steps=0)

    await bench.cluster.stop("t")
    await bench.cluster.stop("stranger")


async def test_stop_needs_no_listener_and_frees_the_id(bench):
    await bench.start("t", "progress", steps=1_000_000)
    await bench.cluster.stop("t", grace_s=0.05)

    await bench.start("t", "progress", steps=1)

    assert (await bench.until("t")).kind is LOST
    assert (await bench.until("t")).kind is DONE


async def test_cancelled_stop_still_kills(bench):
    await bench.start("t", "ignore_sigterm")
    pid = (await bench.until("t", PROGRESS)).data["pid"]

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await bench.cluster.stop("t", grace_s=PATIENCE_S)

    assert (await bench.until("t")).data["signal"] == "SIGKILL"
    assert living([pid]) == []


# Room


async def test_running_tasks_claim_their_needs_until_their_final_event(bench):
    whole = await bench.free()
    await bench.start("t", "hang_forever", resources=Resources(cpu=1.5, gpu=0.5, memory_bytes=GIB))
    left = await bench.free()
    await bench.cluster.stop("t")

    assert whole == Resources(cpu=4, gpu=1, memory_bytes=8 * GIB)
    assert left == Resources(cpu=2.5, gpu=0.5, memory_bytes=7 * GIB)
    assert await bench.free() == whole


async def test_overbooked_node_has_nothing_free_rather_than_less(bench):
    await bench.start("t", "hang_forever", resources=Resources(cpu=100))

    assert (await bench.free()).cpu == 0


async def test_start_on_an_unknown_node_is_a_loss(bench):
    with pytest.raises(WorkerLost, match="nowhere"):
        await bench.cluster.start(spec("t", "echo"), "nowhere")


async def test_an_id_runs_once_at_a_time(bench):
    await bench.start("t", "hang_forever")

    with pytest.raises(Conflict):
        await bench.start("t", "hang_forever")


async def test_want_is_accepted(bench):
    await bench.cluster.want([Resources(cpu=64)])


# The end


async def test_close_kills_everything_and_ends_the_events(bench):
    await bench.start("t", "family")
    pids = (await bench.until("t", PROGRESS)).data["pids"]

    await bench.cluster.close()

    assert living(pids) == []
    assert (await bench.until("t")).kind is LOST
    with pytest.raises(StopAsyncIteration):
        await bench.hear()


async def test_close_may_be_repeated_and_nothing_starts_after_it(bench):
    await bench.run("t", "progress", steps=0)
    await bench.cluster.close()
    await bench.cluster.close()

    with pytest.raises(WorkerLost):
        await bench.start("u", "echo")


async def test_close_of_an_idle_cluster_is_no_error(bench):
    await bench.cluster.close()


async def test_cancelled_close_can_be_finished(bench):
    await bench.start("t", "ignore_sigterm")
    pid = (await bench.until("t", PROGRESS)).data["pid"]
    async with asyncio.TaskGroup() as group:
        closing = group.create_task(bench.cluster.close())
        await asyncio.sleep(0)
        closing.cancel()

    await bench.cluster.close()

    assert living([pid]) == []


async def test_task_can_be_killed_by_hand(bench):
    await bench.start("t", "hang_forever")
    os.kill((await bench.until("t", PROGRESS)).data["pid"], signal.SIGKILL)

    assert (await bench.until("t")).kind is LOST
