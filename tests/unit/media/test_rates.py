"""Reading a rate from timestamps."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidcompute.media.rates import STANDARD_RATES, at_least, measure, nearest

MS = Fraction(1, 1000)


def rounded(rate: Fraction, count: int, time_base: Fraction, start: int = 0) -> list[int]:
    return [start + round(n / rate / time_base) for n in range(count)]


@pytest.mark.parametrize(
    "rate", [Fraction(24000, 1001), Fraction(25), Fraction(30000, 1001), Fraction(30), Fraction(60)]
)
@pytest.mark.parametrize("time_base", [MS, Fraction(1, 600), Fraction(1, 90_000)])
def test_rounded_timestamps_of_a_constant_rate_are_constant(rate, time_base):
    measured = measure(rounded(rate, 300, time_base, start=77), time_base)

    assert (measured.mean, measured.variable) == (rate, False)


def test_drop_frame_rates_are_told_from_whole_ones_over_a_few_seconds():
    assert measure(rounded(Fraction(30000, 1001), 100, MS), MS).mean == Fraction(30000, 1001)
    assert measure(rounded(Fraction(30), 100, MS), MS).mean == 30


def test_an_odd_constant_rate_is_kept():
    measured = measure([n * 2000 for n in range(46)], Fraction(1, 17_594))

    assert (measured.mean, measured.variable) == (Fraction(8797, 1000), False)


def test_a_hole_makes_the_rate_variable_but_not_the_usual_one():
    pts = [tick for n, tick in enumerate(rounded(Fraction(30), 90, MS)) if not 40 <= n < 50]

    measured = measure(pts, MS)

    assert measured.variable
    assert measured.usual == 30
    assert measured.mean < 30


def test_a_single_picture_has_the_claimed_rate_or_25():
    assert measure([5], MS, hints=[Fraction(90_000), Fraction(24)]).mean == 24
    assert measure([5], MS).mean == 25


def test_pictures_at_one_instant_do_not_divide_by_zero():
    assert not measure([7, 7, 7], MS).variable


def test_claims_are_believed_only_where_timestamps_agree():
    pts = [n * 40 for n in range(50)]

    assert measure(pts, MS, hints=[Fraction(50)]).mean == 25


def test_at_least_takes_the_next_standard_rate_up_but_forgives_rounding():
    assert at_least(Fraction("16.76")) == 20
    assert at_least(Fraction("10.02")) == 10
    assert at_least(Fraction(1000)) == 1000


def test_nearest_leaves_alone_what_is_near_nothing():
    assert nearest(Fraction(1000, 33)) == 30
    assert nearest(Fraction(17, 4)) == Fraction(17, 4)


@given(
    rate=st.sampled_from(sorted(STANDARD_RATES)),
    count=st.integers(2, 400),
    start=st.integers(-(10**6), 10**6),
    jitter=st.lists(st.integers(-40, 40), min_size=400, max_size=400),
)
def test_jitter_below_half_a_millisecond_never_makes_a_rate_variable(rate, count, start, jitter):
    time_base = Fraction(1, 90_000)
    pts = sorted(tick + jitter[n] for n, tick in enumerate(rounded(rate, count, time_base, start)))

    measured = measure(pts, time_base)

    assert not measured.variable
    assert abs(measured.mean - rate) * (count - 1) <= rate * Fraction(1, 4) * count


def test_a_picture_in_an_hour_is_a_rate_too():
    measured = measure([0, 3600, 7200], Fraction(1))

    assert (measured.mean, measured.variable) == (Fraction(1, 3600), False)


@given(pts=st.lists(st.integers(-(2**62), 2**62), min_size=1, max_size=20), ticks=st.integers(1, 2**31))
def test_whatever_the_times_are_there_is_a_rate(pts, ticks):
    measured = measure(sorted(pts), Fraction(1, ticks))

    assert measured.mean > 0
    assert measured.usual > 0
