"""Who is alive, without sleeping: a pid descriptor becomes readable when its process ends."""

import os
import select
from pathlib import Path


def living(pids):
    """Those of `pids` that still exist, zombies included."""
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def survivors(pids, *, patience_s=30.0):
    """Those of `pids` that have not ended when patience ends; a zombie has ended."""
    return [pid for pid in pids if not _ends(pid, patience_s)]


def parent_of(pid):
    """The parent's pid (proc(5): second field after the name, which is in parentheses)."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def open_descriptors():
    """How many descriptors this process holds, the one that counts them included."""
    return len(list(Path("/proc/self/fd").iterdir()))


def _ends(pid, patience_s):
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        poller = select.poll()
        poller.register(fd, select.POLLIN)
        return bool(poller.poll(patience_s * 1000))
    finally:
        os.close(fd)
