"""Whether a process that is not our child still lives."""

from __future__ import annotations

import os
import select
from pathlib import Path


def alive(pid: int) -> bool:
    """True unless it is gone or a zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def dead_within(pid: int, seconds: float) -> bool:
    """Wait for the death of any process; a pidfd becomes readable at that moment."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([pidfd], [], [], seconds)[0])
    finally:
        os.close(pidfd)
