"""A running server as its files and the process table show it: ours, or one that outlived us."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from dataclasses import dataclass
from pathlib import Path

from vidcompute.store.pg_place import Place

_POLL_S = 0.02
#: The line of postmaster.pid that holds the server's state (LOCK_FILE_LINE_PM_STATUS in miscadmin.h).
_STATE_LINE = 7
_PROC = Path("/proc")
_PROC_IS_THERE = (_PROC / "self").exists()


@dataclass(frozen=True, slots=True)
class Postmaster:
    """The server process of a place. `child` is set when we started it."""

    place: Place
    pid: int
    child: asyncio.subprocess.Process | None = None

    @classmethod
    def find(cls, place: Place) -> Postmaster | None:
        """The server that works on this place's data, if one lives."""
        lines = _lock_lines(place.data)
        if not lines or not lines[0].strip().isdecimal():
            return None
        found = cls(place, int(lines[0]))
        return found if found.alive else None

    @staticmethod
    def left_lock(place: Place) -> bool:
        """Whether a server of this place ended without a word, or none did and one still runs."""
        return (place.data / "postmaster.pid").exists()

    @staticmethod
    def sessions(place: Place) -> bool:
        """Whether any process works in the data folder: sessions may outlive their killed server by a moment."""
        return any(_works_in(place.data, proc) for proc in _PROC.glob("[0-9]*"))

    @staticmethod
    def clear_lock(place: Place) -> None:
        """Remove lock files that a dead server left.

        Postgres does so by itself unless their process id lives again, as something else of the same user: after
        the restart of a container, where ids are small and few, that is the rule. Only where `sessions` can be asked
        (Linux) and says no: the lock file is also what keeps two servers from sharing one folder.
        """
        if _PROC_IS_THERE:
            for path in (place.data / "postmaster.pid", *place.run.glob(".s.PGSQL.*")):
                path.unlink(missing_ok=True)

    @property
    def alive(self) -> bool:
        """Whether this process is a server, and this place's."""
        if self.child is not None:
            return self.child.returncode is None
        try:
            os.kill(self.pid, 0)
        except (ProcessLookupError, PermissionError):
            # Another user's process is not the server: it runs as the place's account.
            return False
        return _works_in(self.place.data, _PROC / str(self.pid)) if _PROC_IS_THERE else True

    @property
    def ready(self) -> bool:
        """Whether it says that it accepts connections."""
        lines = _lock_lines(self.place.data)
        return len(lines) > _STATE_LINE and lines[0] == str(self.pid) and lines[_STATE_LINE].strip() == "ready"

    def accepts_connections(self) -> bool:
        """Whether its socket answers: one that is stopping has closed it."""
        with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(OSError):
            probe.settimeout(1.0)
            probe.connect(str(self.place.run / ".s.PGSQL.5432"))
            return True
        return False

    def signal(self, number: signal.Signals) -> None:
        """Tell the server alone, not its group: its sessions would take SIGINT as `cancel the statement`."""
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def wait(self) -> None:
        """Return when it has ended."""
        if self.child is not None:
            await self.child.wait()
            return
        while self.alive:  # noqa: ASYNC110 - not our child, so nothing but looking tells of its end
            await asyncio.sleep(_POLL_S)


def _works_in(data: Path, proc: Path) -> bool:
    # A server and its sessions work in the data folder. A zombie has no folder any more.
    try:
        return (proc / "cwd").samefile(data)
    except OSError:
        return False


def _lock_lines(data: Path) -> list[str]:
    try:
        return (data / "postmaster.pid").read_text("utf-8", "replace").splitlines()
    except OSError:
        return []
