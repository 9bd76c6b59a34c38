"""How long to wait before trying again. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

#: 2.0 ** 1023 is the last power of two that a float can hold; beyond it `**` raises instead of answering "forever".
_LAST_EXPONENT = 1023


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential back-off with full jitter and a cap; `max_failures` is how often work may fail in all."""

    base_s: float
    cap_s: float
    max_failures: int

    def __post_init__(self) -> None:
        if self.base_s < 0 or self.cap_s < 0 or self.max_failures < 1:
            message = f"{self}: base_s and cap_s must not be negative, max_failures must be at least 1"
            raise ValueError(message)

    def ceiling_s(self, failures: int) -> float:
        """Longest wait after `failures` failures: base, twice base, four times base … up to the cap."""
        exponent = min(max(failures, 1) - 1, _LAST_EXPONENT)
        return min(self.cap_s, self.base_s * 2.0**exponent)

    def delay_s(self, failures: int, *, random: Callable[[], float]) -> float:
        """A wait drawn evenly between zero and the ceiling; `random` answers in [0, 1).

        Full jitter, because work that failed together (a server went away) must not come back together:
        https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
        """
        return self.ceiling_s(failures) * random()

    def exhausted(self, failures: int) -> bool:
        """Whether work that failed this often is not tried again."""
        return failures >= self.max_failures
