import math

import pytest

from vidcompute.domain.retry import Backoff


@pytest.mark.parametrize(("failures", "ceiling_s"), [(0, 2.0), (1, 2.0), (2, 4.0), (3, 8.0), (4, 10.0), (50, 10.0)])
def test_ceiling_doubles_with_each_failure_up_to_the_cap(failures, ceiling_s):
    backoff = Backoff(base_s=2.0, cap_s=10.0, max_failures=4)

    assert backoff.ceiling_s(failures) == ceiling_s


def test_delay_is_spread_over_the_whole_range_below_the_ceiling():
    backoff = Backoff(base_s=2.0, cap_s=60.0, max_failures=4)

    delays = [backoff.delay_s(3, random=lambda share=share: share) for share in (0.0, 0.25, 0.5)]

    assert delays == [0.0, 2.0, 4.0]


@pytest.mark.parametrize("failures", [1_000, 1_025, 10**9])
def test_absurdly_many_failures_wait_for_the_cap(failures):
    backoff = Backoff(base_s=1e300, cap_s=300.0, max_failures=4)

    delay_s = backoff.delay_s(failures, random=lambda: 0.5)

    assert delay_s == 150.0
    assert math.isfinite(delay_s)


def test_zero_base_never_waits():
    assert Backoff(base_s=0.0, cap_s=300.0, max_failures=4).delay_s(99, random=lambda: 0.9) == 0.0


def test_exhausted_at_the_last_allowed_failure():
    backoff = Backoff(base_s=1.0, cap_s=1.0, max_failures=3)

    assert [backoff.exhausted(failures) for failures in (2, 3, 4)] == [False, True, True]


@pytest.mark.parametrize("wrong", [(-1.0, 1.0, 1), (1.0, -1.0, 1), (1.0, 1.0, 0)])
def test_nonsense_is_refused(wrong):
    with pytest.raises(ValueError, match="must"):
        Backoff(*wrong)
