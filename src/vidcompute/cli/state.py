"""What every command shares: the server's address, exit codes, and the error that carries one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx


class Exit(IntEnum):
    """Exit codes: public interface."""

    OK = 0
    ERROR = 1
    USAGE = 2
    JOB_FAILED = 3
    NOT_FOUND = 4
    AUTH = 5
    UNREACHABLE = 6
    TIMEOUT = 7
    INTERRUPTED = 130


class CliError(Exception):
    """An expected end of a command: a sentence, what to do next, and the exit code."""

    def __init__(self, message: str, *, code: Exit = Exit.ERROR, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.hint = hint


@dataclass(frozen=True, slots=True)
class State:
    """The server, and the way to it if it is not the network."""

    server: str
    transport: httpx.AsyncBaseTransport | None = None
