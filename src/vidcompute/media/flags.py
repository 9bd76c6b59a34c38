"""A command line whose every word knows why it is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Flag:
    """One option with its values. `reason` is shown by `vidctl explain`."""

    args: tuple[str, ...]
    reason: str = ""


def flag(*args: object, reason: str = "") -> Flag:
    """A flag from words of any type."""
    return Flag(tuple(str(arg) for arg in args), reason)


@dataclass(frozen=True, slots=True)
class Command:
    """A program, its flags, and the folder to run it in: outputs are named relative to `directory`."""

    program: Path
    flags: tuple[Flag, ...]
    directory: Path
    #: File names that the program writes into `directory`.
    outputs: tuple[str, ...]
    #: Descriptors that the program must inherit, beside the three standard ones.
    fds: tuple[int, ...] = ()

    @property
    def argv(self) -> list[str]:
        """The command line as a list: no shell ever sees it."""
        return [str(self.program), *(arg for part in self.flags for arg in part.args)]


def descriptors(ends: Sequence[object]) -> tuple[int, ...]:
    """Those of `ends` that are descriptors rather than paths (or nothing)."""
    return tuple(end for end in ends if isinstance(end, int))
