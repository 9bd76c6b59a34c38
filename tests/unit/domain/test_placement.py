import math

from vidcompute.domain.placement import Demand, Node, Placement, place
from vidcompute.domain.task import Resources

GIB = 2**30


def node(name, cpu=8.0, gpu=0.0, memory_gib=16, *, free=None, alive=True):
    total = Resources(cpu, gpu, memory_gib * GIB)
    return Node(name, total, free or total, alive=alive)


def demand(name, cpu=1.0, gpu=0.0, memory_gib=1, *, band=0, since_s=0.0):
    return Demand(name, Resources(cpu, gpu, memory_gib * GIB), band, since_s)


def where(result):
    return {placement.task_id: placement.node_id for placement in result.placements}


def test_better_band_goes_before_larger_and_older_work():
    demands = [demand("large", cpu=8, band=1), demand("urgent", cpu=2, band=0, since_s=50)]

    result = place(demands, [node("a")], now_s=55)

    assert result.placements == (Placement("urgent", "a"),)
    assert [waiting.task_id for waiting in result.waiting] == ["large"]


def test_large_work_goes_before_small_within_a_band():
    demands = [demand("small", cpu=1), demand("large", cpu=8, since_s=5)]

    assert where(place(demands, [node("a")], now_s=6)) == {"large": "a"}


def test_older_work_goes_first_among_equals():
    demands = [demand("young", cpu=8, since_s=9), demand("old", cpu=8, since_s=1)]

    assert where(place(demands, [node("a")], now_s=10)) == {"old": "a"}


def test_memory_counts_as_much_as_cores():
    demands = [demand("wide", cpu=1, memory_gib=16), demand("other", cpu=1, memory_gib=2)]

    assert where(place(demands, [node("a")], now_s=0)) == {"wide": "a"}


def test_cpu_work_prefers_a_machine_without_gpu():
    nodes = [node("gpu", gpu=1, free=Resources(2, 1, 16 * GIB)), node("plain")]

    assert where(place([demand("t")], nodes, now_s=0)) == {"t": "plain"}


def test_cpu_work_uses_a_gpu_machine_when_nothing_else_has_room():
    assert where(place([demand("t")], [node("gpu", gpu=1)], now_s=0)) == {"t": "gpu"}


def test_fullest_machine_is_used_first():
    nodes = [node("empty"), node("half", free=Resources(4, 0, 16 * GIB))]

    nearly_full = [*nodes, node("nearly", free=Resources(1, 0, 2 * GIB))]

    assert where(place([demand("t")], nearly_full, now_s=0)) == {"t": "nearly"}


def test_ten_tenths_of_a_core_fit_one_core():
    demands = [demand(f"t{n}", cpu=0.1) for n in range(10)]

    assert len(place(demands, [node("a", cpu=1.0)], now_s=0).placements) == 10


def test_dead_node_takes_nothing_but_keeps_work_possible():
    result = place([demand("t")], [node("a", alive=False)], now_s=0)

    assert [waiting.task_id for waiting in result.waiting] == ["t"]


def test_work_larger_than_every_machine_is_impossible():
    result = place([demand("huge", cpu=9), demand("fine", cpu=8)], [node("a")], now_s=0)

    assert [d.task_id for d in result.impossible] == ["huge"]
    assert where(result) == {"fine": "a"}


def test_work_that_an_autoscaler_could_hold_waits():
    result = place([demand("huge", cpu=9)], [node("a")], now_s=0, largest=Resources(16, 0, 64 * GIB))

    assert [d.task_id for d in result.waiting] == ["huge"]


def test_everything_waits_while_no_machine_is_known():
    result = place([demand("t")], [], now_s=0)

    assert [d.task_id for d in result.waiting] == ["t"]


def test_overdue_large_work_keeps_small_work_off_the_node_that_is_nearest_to_fitting_it():
    nodes = [node("a", free=Resources(2, 0, 16 * GIB)), node("b", free=Resources(6, 0, 16 * GIB))]
    demands = [demand("large", cpu=8, since_s=0), *(demand(f"s{n}", since_s=90) for n in range(8))]

    result = place(demands, nodes, now_s=100, reserve_after_s=60)

    assert set(where(result).values()) == {"a"}
    assert len(result.placements) == 2


def test_without_patience_spent_small_work_fills_the_gaps():
    nodes = [node("a", free=Resources(6, 0, 16 * GIB))]
    demands = [demand("large", cpu=8, since_s=50), *(demand(f"s{n}", since_s=90) for n in range(8))]

    assert len(place(demands, nodes, now_s=100, reserve_after_s=60).placements) == 6


def test_overdue_tasks_share_one_reservation_while_its_total_covers_them():
    busy = Resources(1, 0, 16 * GIB)
    nodes = [node("a", free=busy), node("b", free=busy)]
    overdue = [demand("l1", cpu=4), demand("l2", cpu=4)]

    result = place([*overdue, demand("s", since_s=99)], nodes, now_s=100)

    assert where(result) == {"s": "b"}


def test_starved_task_gets_its_node_although_small_work_keeps_coming():
    free_cpu, clock_s, running = 0.0, 0.0, [1.0] * 8
    starved = demand("large", cpu=8, since_s=0.0)

    for clock_s in range(0, 200, 10):
        free_cpu += running.pop(0) if running else 0.0
        small = [demand(f"s{clock_s}", since_s=clock_s)]
        result = place([starved, *small], [node("a", free=Resources(free_cpu, 0, 16 * GIB))], now_s=clock_s)
        if "large" in where(result):
            break
        started = len(result.placements)
        free_cpu -= started
        running += [1.0] * started

    assert "large" in where(result)
    assert math.isclose(free_cpu, 8.0)
    assert clock_s <= 150
