"""Telling a damaged time stamp from a long pause."""

from __future__ import annotations

from dataclasses import dataclass, field

#: More times in a row than this are no accident: the stream really goes on there.
_HELD_LIMIT = 8


@dataclass(frozen=True, slots=True)
class Stamp:
    """When a packet is decoded (`order`) and shown, and how long it lasts, in ticks."""

    order: int
    pts: int
    ticks: int


@dataclass(slots=True)
class Sieve:
    """Lets times through, except a few that lead far away and back.

    A pause leads far away and never back, because decoding times only grow. One flipped bit in the header of a packet
    of FLV puts it hours off, and a clip that believed it would last for hours.
    """

    #: How far is far, in ticks.
    far: int
    strays: int = 0
    _last: int | None = None
    _held: list[Stamp] = field(default_factory=list)

    def sift(self, stamp: Stamp) -> list[Stamp]:
        """The stamps that are now known to be good, in file order: none, this one, or also those that were held."""
        if self._last is None or abs(stamp.order - self._last) <= self.far:
            self.strays += len(self._held)
            self._held.clear()
            self._last = stamp.order
            return [stamp]
        self._held.append(stamp)
        return self.flush() if len(self._held) > _HELD_LIMIT else []

    def flush(self) -> list[Stamp]:
        """What is held, believed: it was not led back from."""
        believed, self._held = self._held, []
        if believed:
            self._last = believed[-1].order
        return believed

    def restart(self) -> None:
        """Forgets what came before."""
        self.strays, self._last = 0, None
        self._held.clear()
