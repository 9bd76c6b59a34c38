"""What a task says, from its pipes to events, with a bound on everything that waits in memory."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from vidcompute import wire
from vidcompute.cluster.taskprocess import MAX_EVENT_BYTES
from vidcompute.domain.task import TaskEvent, TaskEventKind

#: Reading from a task stops while this much of what it said waits for the listener; its next words then block it.
MAX_PENDING_BYTES = 256 * 1024
#: What a task may print in all; it should emit events. The rest is read and dropped.
OUTPUT_BUDGET_BYTES = 256 * 1024
#: The end of what it printed is kept beyond the budget: that is where a crash explains itself.
OUTPUT_TAIL_BYTES = 4096

_READ_BYTES = 64 * 1024
_MAX_PRINTED_LINE_BYTES = 8 * 1024
#: At the end of a task at most this much is read from each pipe, several times what fits into one.
_MAX_DRAIN_BYTES = 4 * 1024 * 1024

_SPOKEN = {TaskEventKind.PROGRESS, TaskEventKind.LOG, TaskEventKind.PARTIAL, TaskEventKind.DONE, TaskEventKind.FAILED}


class Lines:
    """Cuts bytes into lines of at most `max_bytes`; what a longer line has beyond that is dropped."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._rest = bytearray()
        self._skipping = False

    def feed(self, data: bytes) -> Iterator[tuple[bytes, bool]]:
        """Complete lines, and whether each was cut short."""
        first, *others = data.split(b"\n")
        pieces = [first, *others]
        for index, piece in enumerate(pieces):
            if not self._skipping:
                self._rest += piece
            if len(self._rest) > self._max_bytes:
                yield bytes(self._rest[: self._max_bytes]), True
                self._rest.clear()
                self._skipping = True
            if index < len(others):
                if not self._skipping:
                    yield bytes(self._rest), False
                self._rest.clear()
                self._skipping = False

    def rest(self) -> bytes:
        """What came after the last line end."""
        return bytes(self._rest)


@dataclass(slots=True)
class Feed:
    """Reads one task's event pipe and output pipe within the running event loop.

    `deliver` gets each event with its weight in bytes, which is to be given back by `consumed`. A final event is not
    delivered but kept in `final`: it counts only once the process is dead.
    """

    task_id: str
    events_fd: int
    output_fd: int
    deliver: Callable[[TaskEvent, int], None]
    final: TaskEvent | None = None
    _event_lines: Lines = field(default_factory=lambda: Lines(MAX_EVENT_BYTES))
    _output_lines: Lines = field(default_factory=lambda: Lines(_MAX_PRINTED_LINE_BYTES))
    _tail: bytearray = field(default_factory=bytearray)
    _printed_bytes: int = 0
    _pending_bytes: int = 0
    #: Pipes at whose end we are not yet.
    _open: set[int] = field(default_factory=set)
    _watched: set[int] = field(default_factory=set)

    def start(self) -> None:
        """Begin to read."""
        self._open = {self.events_fd, self.output_fd}
        self._watch()

    def consumed(self, weight: int) -> None:
        """The listener took an event of this weight."""
        self._pending_bytes -= weight
        self._watch()

    def finish(self) -> None:
        """Read what is left, which is bounded as the writers are dead, and close the pipes."""
        self._unwatch()
        for fd in list(self._open):
            left = _MAX_DRAIN_BYTES
            while left > 0 and (size := self._read(fd)) > 0:
                left -= size
        if last := self._output_lines.rest():
            self._printed(last)
        self._open.clear()
        os.close(self.events_fd)
        os.close(self.output_fd)

    @property
    def output_tail(self) -> str:
        """The last of what the process printed."""
        return self._tail.decode(errors="replace").strip()

    def _watch(self) -> None:
        if self._pending_bytes < MAX_PENDING_BYTES:
            for fd in self._open - self._watched:
                asyncio.get_running_loop().add_reader(fd, self._readable, fd)
                self._watched.add(fd)

    def _unwatch(self) -> None:
        for fd in self._watched:
            asyncio.get_running_loop().remove_reader(fd)
        self._watched.clear()

    def _readable(self, fd: int) -> None:
        self._read(fd)
        # Stops reading at the end of the pipe, and while too much waits for the listener.
        if fd not in self._open or self._pending_bytes >= MAX_PENDING_BYTES:
            self._unwatch()
            self._watch()

    def _read(self, fd: int) -> int:
        """Handle one piece; its size, 0 if there is nothing now."""
        with suppress(BlockingIOError):
            data = os.read(fd, _READ_BYTES)
            if not data:
                self._open.discard(fd)
            elif fd == self.events_fd:
                self._heard(data)
            else:
                self._saw_output(data)
            return len(data)
        return 0

    def _heard(self, data: bytes) -> None:
        for line, cut in self._event_lines.feed(data):
            if self.final is None:
                event = _oversized(self.task_id, line) if cut else parse_event(self.task_id, line)
                if event.kind.final:
                    self.final = event
                else:
                    self._pass_on(event, len(line))

    def _saw_output(self, data: bytes) -> None:
        self._tail += data
        del self._tail[:-OUTPUT_TAIL_BYTES]
        if self._printed_bytes > OUTPUT_BUDGET_BYTES:
            return
        self._printed_bytes += len(data)
        for line, _ in self._output_lines.feed(data):
            self._printed(line)
        if self._printed_bytes > OUTPUT_BUDGET_BYTES:
            self._output_lines = Lines(_MAX_PRINTED_LINE_BYTES)
            self._pass_on(_log(self.task_id, "warning", "The task prints too much; the rest is dropped."), 0)

    def _printed(self, line: bytes) -> None:
        if text := line.decode(errors="replace").rstrip():
            self._pass_on(_log(self.task_id, "info", text, stream="output"), len(line))

    def _pass_on(self, event: TaskEvent, weight: int) -> None:
        # An event costs memory beside its text; without this, empty ones would be free.
        weight += 256
        self._pending_bytes += weight
        self.deliver(event, weight)


def parse_event(task_id: str, line: bytes) -> TaskEvent:
    """One line of a task as an event of that task, whatever it claims; what cannot be read becomes a log event."""
    try:
        event = wire.loads(TaskEvent, line)
    except ValueError:
        return _log(task_id, "warning", "The task said something unreadable.", line=line[:500].decode(errors="replace"))
    if event.kind not in _SPOKEN:
        return _log(task_id, "warning", f"The task may not say {event.kind.value!r}.")
    return TaskEvent(task_id, event.kind, event.data)


def _oversized(task_id: str, line: bytes) -> TaskEvent:
    text = f"An event of the task was longer than {MAX_EVENT_BYTES} bytes and was dropped."
    return _log(task_id, "warning", text, line=line[:500].decode(errors="replace"))


def _log(task_id: str, level: str, message: str, **data: str) -> TaskEvent:
    return TaskEvent(task_id, TaskEventKind.LOG, {"level": level, "message": message, "data": data})
