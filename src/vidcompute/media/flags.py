"""A command line whose every word knows why it is there."""

from __future__ import annotations

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
    """A program and its flags. Outputs are named relative to the folder it is run in; progress goes to stdout."""

    program: Path
    flags: tuple[Flag, ...]
    #: File names that the program writes into its working directory.
    outputs: tuple[str, ...]
    #: The descriptor of the source, which the program must inherit.
    input_fd: int
    #: The descriptor that the analysis stream is written to, inherited as well.
    analysis_fd: int | None = None

    @property
    def fds(self) -> tuple[int, ...]:
        """Descriptors that the program must inherit, beside the three standard ones."""
        return (self.input_fd,) if self.analysis_fd is None else (self.input_fd, self.analysis_fd)

    @property
    def argv(self) -> list[str]:
        """The command line as a list: no shell ever sees it."""
        return [str(self.program), *(arg for part in self.flags for arg in part.args)]
