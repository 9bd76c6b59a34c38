"""What holds for every placement, whatever the machines and the work."""

import math
import random

from hypothesis import given
from hypothesis import strategies as st

from vidcompute.domain.placement import Demand, Node, fits, minus, place
from vidcompute.domain.task import Resources

amounts = st.builds(
    Resources,
    cpu=st.sampled_from([0.1, 0.5, 1.0, 1.5, 2.0, 4.0, 8.0]),
    gpu=st.sampled_from([0.0, 0.0, 0.5, 1.0]),
    memory_bytes=st.integers(0, 16),
)


@st.composite
def nodes(draw):
    found = []
    for number in range(draw(st.integers(0, 5))):
        total = draw(amounts)
        used = draw(st.sampled_from([0.0, 0.5, 1.0]))
        free = Resources(total.cpu * used, total.gpu * used, int(total.memory_bytes * used))
        found.append(Node(f"n{number}", total, free, alive=draw(st.booleans())))
    return found


@st.composite
def demands(draw):
    return [
        Demand(f"t{number}", draw(amounts), draw(st.integers(0, 2)), float(draw(st.integers(0, 100))))
        for number in range(draw(st.integers(0, 12)))
    ]


def left_over(result, work, machines):
    """What each living node has free once `result` is carried out."""
    need = {demand.task_id: demand.need for demand in work}
    free = {node.id: node.free for node in machines if node.alive}
    for placement in result.placements:
        free[placement.node_id] = minus(free[placement.node_id], need[placement.task_id])
    return free


@given(demands(), nodes(), st.sampled_from([0.0, 50.0, math.inf]))
def test_no_node_is_ever_overfilled(work, machines, reserve_after_s):
    result = place(work, machines, now_s=100.0, reserve_after_s=reserve_after_s)

    for room in left_over(result, work, machines).values():
        assert room.cpu >= -1e-6
        assert room.gpu >= -1e-6
        assert room.memory_bytes >= 0


@given(demands(), nodes())
def test_every_task_is_told_exactly_once_what_becomes_of_it(work, machines):
    result = place(work, machines, now_s=100.0)

    told = [item.task_id for part in (result.placements, result.waiting, result.impossible) for item in part]
    assert sorted(told) == sorted(demand.task_id for demand in work)


@given(demands(), nodes(), st.randoms(use_true_random=False))
def test_order_of_the_arguments_does_not_matter(work, machines, shuffler: random.Random):
    before = place(work, machines, now_s=100.0)
    shuffler.shuffle(work)
    shuffler.shuffle(machines)

    assert place(work, machines, now_s=100.0) == before


@given(demands(), nodes())
def test_nothing_waits_that_would_fit_what_is_left(work, machines):
    result = place(work, machines, now_s=100.0, reserve_after_s=math.inf)

    free = left_over(result, work, machines).values()
    assert not [d for d in result.waiting if any(fits(d.need, room) for room in free)]


@given(demands(), nodes(), st.sampled_from([0.0, 50.0, math.inf]), st.integers(0, 2))
def test_worse_bands_change_nothing_for_better_ones(work, machines, reserve_after_s, band):
    better = [demand for demand in work if demand.band <= band]
    names = {demand.task_id for demand in better}

    everything = place(work, machines, now_s=100.0, reserve_after_s=reserve_after_s)
    alone = place(better, machines, now_s=100.0, reserve_after_s=reserve_after_s)

    assert [p for p in everything.placements if p.task_id in names] == list(alone.placements)


@given(demands(), nodes())
def test_impossible_is_exactly_what_no_machine_could_hold_when_empty(work, machines):
    result = place(work, machines, now_s=100.0)

    hopeless = {d.task_id for d in work if machines and not any(fits(d.need, node.total) for node in machines)}
    assert {demand.task_id for demand in result.impossible} == hopeless


def test_thousands_of_tasks_on_a_full_cluster_look_at_each_node_once_per_shape():
    machines = [Node(f"n{n}", Resources(16, 0, 64), Resources(0, 0, 0)) for n in range(100)]
    work = [Demand(f"t{n}", Resources(1 + n % 5, 0, 1), 0, 0.0) for n in range(5_000)]

    result = place(work, machines, now_s=0.0)

    assert len(result.waiting) == 5_000
