"""A task's scratch folder: gone with the task, however the task ends.

The folder is held by a lock that the kernel drops when the holder dies, so whoever comes next can tell
the folders of the living from those left by a killed process, and remove the latter.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

_LOCK = ".lock"


@contextlib.contextmanager
def scratch(root: Path, name: str) -> Iterator[Path]:
    """An empty folder `root/name`, removed at the end; a dead predecessor's is removed first."""
    folder = root / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    lock = os.open(folder / _LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def remove(root: Path, name: str) -> None:
    """Remove the folder of a holder that is known to be dead; one that cleaned up itself is no error."""
    shutil.rmtree(root / name, ignore_errors=True)


def sweep(root: Path) -> int:
    """Remove every folder below `root` whose holder is dead; how many that were."""
    removed = 0
    if not root.is_dir():
        return 0
    for folder in root.iterdir():
        if folder.is_dir() and _abandoned(folder):
            shutil.rmtree(folder, ignore_errors=True)
            removed += 1
    return removed


def _abandoned(folder: Path) -> bool:
    try:
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        # Between mkdir and open of the lock, or after a removal that was cut short. A folder of the
        # living gets its lock within microseconds; one this old never will.
        return _age_s(folder) > 60
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(lock)
    return True


def _age_s(folder: Path) -> float:
    """Seconds since the folder last changed, by the file system's own clock."""
    with contextlib.suppress(OSError):
        probe = folder.parent / f".{folder.name}.age"
        probe.touch()
        now = probe.stat().st_mtime
        probe.unlink()
        return now - folder.stat().st_mtime
    return 0.0
