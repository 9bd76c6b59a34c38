"""Reads what `ffmpeg -progress` writes: blocks of `key=value` lines, each closed by `progress=continue` or `end`.

Never raises: a line that makes no sense is worth less than the encode that it reports on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

#: A block has about thirty short lines; what is longer is not progress.
_LINE_BYTES = 512
_KEYS = 64


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an encode is. `frame` counts pictures of the first output: the only count that can be trusted.

    (`out_time` is the largest over all outputs, and one odd output makes it nonsense.)
    """

    frame: int
    fps: float
    #: Seconds of video per second of wall clock.
    speed: float
    out_time_s: float
    ended: bool = False

    def percent(self, frames: int) -> float:
        """0 to 100, of so many pictures in all; 0 if nobody knows how many."""
        return min(100.0, 100.0 * self.frame / frames) if frames > 0 else 0.0


@dataclass(slots=True)
class ProgressParser:
    """Feed it bytes in any portions; it gives back a report for every block that was closed."""

    _rest: bytes = b""
    _block: dict[str, str] = field(default_factory=dict)

    def feed(self, data: bytes) -> list[Progress]:
        """Reports completed by `data`, oldest first."""
        *lines, rest = (self._rest + data).split(b"\n")
        self._rest = rest[-_LINE_BYTES:]
        return [report for line in lines if (report := self._line(line)) is not None]

    def _line(self, line: bytes) -> Progress | None:
        key, equals, value = line[:_LINE_BYTES].decode("ascii", errors="replace").strip().partition("=")
        if not equals:
            return None
        if key != "progress":
            if len(self._block) < _KEYS:
                self._block[key] = value.strip()
            return None
        block, self._block = self._block, {}
        return Progress(
            frame=max(0, int(_number(block.get("frame", "")))),
            fps=max(0.0, _number(block.get("fps", ""))),
            speed=max(0.0, _number(block.get("speed", "").removesuffix("x"))),
            out_time_s=_number(block.get("out_time_us", "")) / 1_000_000,
            ended=value == "end",
        )


def _number(text: str) -> float:
    """`N/A`, empty and infinite values count as 0."""
    try:
        number = float(text)
    except ValueError:
        return 0.0
    return number if math.isfinite(number) else 0.0
