"""A heap whose members can be moved and taken out without a search."""

from __future__ import annotations

import heapq

#: When, and who came first among equals.
Key = tuple[float, int]

#: Below this many outdated items a rebuild is not worth its cost.
_SLACK = 64


class KeyedHeap:
    """Ids by a key, smallest first; `put`, `drop` and `pop` cost O(log n) on average.

    Moving or dropping an id leaves its old item in the list, where it is skipped later; when such items outnumber
    the valid ones the list is rebuilt, so memory stays in proportion to what is really in it.
    """

    def __init__(self) -> None:
        self._items: list[tuple[Key, str]] = []
        self._keys: dict[str, Key] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def put(self, member: str, key: Key) -> None:
        """Add `member` at `key`, or move it there."""
        self._keys[member] = key
        heapq.heappush(self._items, (key, member))
        self._shed()

    def drop(self, member: str) -> None:
        """Take `member` out; a stranger is no error."""
        self._keys.pop(member, None)
        self._shed()

    def first(self) -> tuple[Key, str] | None:
        """The smallest key and its id, or None."""
        while self._items:
            key, member = self._items[0]
            if self._keys.get(member) == key:
                return key, member
            heapq.heappop(self._items)
        return None

    def ahead_of(self, key: Key) -> int:
        """How many ids come before `key`; looks at every one of them."""
        return sum(other < key for other in self._keys.values())

    def _shed(self) -> None:
        if len(self._items) > 2 * len(self._keys) + _SLACK:
            self._items = [(key, member) for member, key in self._keys.items()]
            heapq.heapify(self._items)
