"""What lies in DATA_DIR: one service at a time, a secret of its own, and the folders of its parts."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vidcompute.errors import Conflict, InvalidConfig, StorageFull

#: Less than this and even the database cannot start safely.
MIN_FREE_BYTES = 256 * 1024**2


@dataclass(frozen=True, slots=True)
class Folders:
    """Paths below DATA_DIR."""

    root: Path

    @property
    def postgres(self) -> Path:
        """The embedded database."""
        return self.root / "postgres"

    @property
    def scratch(self) -> Path:
        """Task folders, gone with their tasks."""
        return self.root / "scratch"

    @property
    def cache(self) -> Path:
        """Originals fetched to this node."""
        return self.root / "cache"


def prepare(root: Path) -> Folders:
    """Make the folders. Raises InvalidConfig if that is not allowed, StorageFull if there is no room."""
    folders = Folders(root)
    try:
        root.mkdir(parents=True, exist_ok=True)
        for folder in (folders.scratch, folders.cache):
            folder.mkdir(exist_ok=True, mode=0o711)
        stat = os.statvfs(root)
    except OSError as error:
        raise InvalidConfig(
            f"DATA_DIR = {root}: {error.strerror}", hint="Name a folder that this user may write, with --data-dir."
        ) from error
    free = stat.f_bavail * stat.f_frsize
    if free < MIN_FREE_BYTES:
        raise StorageFull(f"DATA_DIR = {root} has {free // 1024**2} MiB left; {MIN_FREE_BYTES // 1024**2} are needed")
    return folders


@contextlib.contextmanager
def held(root: Path) -> Iterator[None]:
    """Hold DATA_DIR for this process. Raises Conflict, naming the holder, if another service runs on it.

    The kernel drops the lock with its holder, so a crash leaves nothing to clean.
    """
    path = root / "service.lock"
    lock = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(lock, 32, 0).decode(errors="replace").strip() or "unknown"
            raise Conflict(
                f"another vidcompute (process {holder}) is running on {root}",
                hint="Use that one, stop it, or name another folder with --data-dir.",
            ) from error
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(lock)


def secret(root: Path) -> bytes:
    """The 32 bytes that sign this service's URLs; made at the first start, readable by its user only."""
    path = root / "secret"
    with contextlib.suppress(FileExistsError):
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, secrets.token_bytes(32))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    found = path.read_bytes()
    if len(found) != 32:
        raise InvalidConfig(f"{path} is damaged", hint="Remove the file; signed URLs made before will stop working.")
    return found
