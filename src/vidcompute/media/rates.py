"""The rate of a stream of pictures, read from its timestamps.

Containers round: Matroska to milliseconds, QuickTime to 1/600 s. So a rate is not a quotient of two
timestamps but the simplest one that explains them all to within their rounding; and if none does, the
source's rate varies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from statistics import median_low

#: Rates that cameras, broadcasters and screens use.
STANDARD_RATES = (
    *(Fraction(n) for n in (1, 2, 5, 6, 8, 10, 12, 15, 20, 24, 25, 30, 48, 50, 60, 90, 100, 120, 144, 240)),
    *(Fraction(n * 1000, 1001) for n in (15, 24, 30, 48, 60, 120, 240)),
    Fraction(25, 2),
)

#: Writers of time stamps round to milliseconds even where the container could do better.
ROUNDING_S = Fraction(1, 1000)


@dataclass(frozen=True, slots=True)
class Rate:
    """`mean` is exact or snapped; `usual` comes from the median distance; `variable` says that no rate explains all."""

    mean: Fraction
    usual: Fraction
    variable: bool


def measure(pts: Sequence[int], time_base: Fraction, *, hints: Sequence[Fraction] = ()) -> Rate:
    """The rate of pictures at `pts` (sorted, in ticks of `time_base`).

    `hints` are rates that the container claims: believed only where the timestamps agree. A single picture
    has the first sane hint as its rate, or 25.
    """
    span = (pts[-1] - pts[0]) * time_base if len(pts) > 1 else Fraction(0)
    if span <= 0:
        rate = next((hint for hint in hints if 1 <= hint <= 240), Fraction(25))
        return Rate(mean=rate, usual=rate, variable=False)
    mean = Fraction(len(pts) - 1) / span
    distance = median_low(later - earlier for earlier, later in pairwise(pts)) or 1
    usual = 1 / (distance * time_base)
    # A grid finer than half a picture cannot tell pictures apart; beyond that a stray is a real one.
    tolerance = min(time_base + ROUNDING_S, 1 / (2 * mean))
    for candidate in _candidates(mean, span=span, tolerance=tolerance, hints=hints):
        if _explains(candidate, pts, time_base, tolerance):
            return Rate(mean=candidate, usual=candidate, variable=False)
    return Rate(mean=_simple(mean, 100_000), usual=nearest(usual), variable=True)


def nearest(rate: Fraction) -> Fraction:
    """The standard rate within a tenth of `rate`, or `rate` itself made simple.

    A usual distance of 33 or 34 ms means 30 a second; of 70 ms it means nothing in particular.
    """
    best = min(STANDARD_RATES, key=lambda standard: abs(standard - rate))
    return best if abs(best - rate) * 10 <= rate else _simple(rate, 1001)


def at_least(rate: Fraction) -> Fraction:
    """The lowest standard rate not (noticeably) below `rate`: at it, hardly a picture is lost."""
    return min((standard for standard in STANDARD_RATES if standard * 50 >= rate * 49), default=rate)


def _simple(rate: Fraction, denominator: int) -> Fraction:
    """`rate` with a denominator of at most so much; one picture in an hour has none, and zero is no rate."""
    return rate.limit_denominator(denominator) or rate


def _candidates(mean: Fraction, *, span: Fraction, tolerance: Fraction, hints: Sequence[Fraction]) -> list[Fraction]:
    """Rates near `mean`, nearest first; standard ones before claims, claims before the mean made simple."""
    # Over the whole clip a candidate may stray by the rounding at both ends, no more.
    reach = mean * 2 * tolerance / span
    near = [rate for rate in STANDARD_RATES if abs(rate - mean) <= reach]
    claimed = [hint for hint in hints if abs(hint - mean) <= reach and hint.numerator <= 1_000_000]
    return [*sorted(near, key=lambda rate: abs(rate - mean)), *claimed, _simple(mean, 1001)]


def _explains(rate: Fraction, pts: Sequence[int], time_base: Fraction, tolerance: Fraction) -> bool:
    """Whether picture n lies at start + n / rate, give or take `tolerance`, for one start and every n."""
    # In units of 1 / (rate · scale) everything is an integer: exact, and fast for a million pictures.
    ticks_per_picture = 1 / (rate * time_base)
    numerator, denominator = ticks_per_picture.numerator, ticks_per_picture.denominator
    errors = [tick * denominator - number * numerator for number, tick in enumerate(pts)]
    return (max(errors) - min(errors)) * time_base <= 2 * tolerance * denominator
