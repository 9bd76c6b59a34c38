"""Damaged time stamps are told from pauses."""

from __future__ import annotations

import pytest

from vidcompute.media.sieve import Sieve, Stamp


def sifted(sieve: Sieve, orders: list[int]) -> list[int]:
    passed = [stamp.pts for order in orders for stamp in sieve.sift(Stamp(order, order, 1))]
    return [*passed, *(stamp.pts for stamp in sieve.flush())]


@pytest.mark.parametrize("stray", [5000, -5000])
def test_a_time_that_leads_far_away_and_back_is_left_out(stray: int):
    sieve = Sieve(far=100)

    assert sifted(sieve, [0, 40, stray, stray + 40, 80, 120]) == [0, 40, 80, 120]
    assert sieve.strays == 2


@pytest.mark.parametrize(
    "orders",
    [
        pytest.param([0, 40, 5000, 5040], id="a pause before the end"),
        pytest.param([0, 40, *range(5000, 6000, 40)], id="a pause"),
        pytest.param(list(range(0, 20_000, 1000)), id="a picture now and then"),
    ],
)
def test_a_pause_is_believed(orders: list[int]):
    sieve = Sieve(far=100)

    assert sifted(sieve, orders) == orders
    assert sieve.strays == 0


def test_what_came_before_a_restart_counts_for_nothing():
    sieve = Sieve(far=100)
    sifted(sieve, [0, 5000])

    sieve.restart()

    assert sifted(sieve, [9000, 9040]) == [9000, 9040]
