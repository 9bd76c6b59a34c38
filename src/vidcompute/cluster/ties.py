"""Ties between Linux processes: who dies with whom, who inherits whose orphans, who is whose child."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

#: Exit code of a process whose parent was gone before it could tie itself to it.
EXIT_ORPHAN = 125

# linux/prctl.h
_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36


def die_with(parent_pid: int, *, by: signal.Signals = signal.SIGKILL) -> None:
    """Have the kernel send us `by` when the thread that started us ends, even by `kill -9`.

    Does not return if the parent is gone already: the signal is for deaths to come only.
    """
    _prctl(_PR_SET_PDEATHSIG, by)
    if os.getppid() != parent_pid:
        os._exit(EXIT_ORPHAN)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends, wherever it hid (setsid, double fork)."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def name_process(name: str) -> None:
    """What `top` and `ps -o comm` call this process; 15 characters at most."""
    _prctl(_PR_SET_NAME, ctypes.create_string_buffer(name.encode()[:15]))


def children() -> set[int]:
    """Pids of our children, zombies included.

    Complete, because nobody but us reaps them: a child leaves the kernel's list only by being reaped.
    """
    try:
        lists = [path.read_text() for path in Path("/proc/self/task").glob("*/children")]
    except OSError:
        lists = []
    # A kernel without CONFIG_PROC_CHILDREN has no such file; the long way round is the same answer.
    return {int(pid) for line in lists for pid in line.split()} if lists else _children_by_scan()


def kill_all(pids: Iterable[int]) -> None:
    """SIGKILL to each; those that are gone already, or out of our reach (setuid programs), are no error."""
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def _children_by_scan() -> set[int]:
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # Field 4, counted after the name, which is in parentheses and may hold spaces and parentheses (proc(5)).
            if int(stat.read_text().rpartition(")")[2].split()[1]) == os.getpid():
                found.add(int(stat.parent.name))
    return found


def _prctl(option: int, argument: object) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, argument, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl({option}): {os.strerror(number)}")
