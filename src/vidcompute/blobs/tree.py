"""Objects as files below one folder, by blocking calls that never follow a symbolic link.

Every step from the root down is opened relative to the one before (openat, O_NOFOLLOW), so a link planted anywhere
below the root leads nowhere. Objects appear by rename and are never written in place, hence may share bytes by hard
link, with each other and with files handed out.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

#: Unfinished writes; not a legal tenant, so no object's key can start like this.
INCOMING = ".incoming"

_FOLDER = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_RDONLY
#: Readable by the owner alone, writable by nobody: a file handed out by hard link must not be changed under us.
_OBJECT_MODE = 0o400
#: A folder may vanish between its creation and the rename into it, when the last other object in it is deleted.
_TRIES = 10


class Tree:
    """A folder of objects. Methods block and raise OSError; FileNotFoundError where there is no such object."""

    def __init__(self, root: Path) -> None:
        """`root` is made if missing; it alone may be reached through a link."""
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.root = root.resolve()
        (self.root / INCOMING).mkdir(exist_ok=True, mode=0o700)

    @contextmanager
    def folder(self, parts: tuple[str, ...], *, create: bool = False) -> Iterator[int]:
        """The folder of these parts as a descriptor.

        With `create`, NotADirectoryError where an object is in the way; without, that is just another absence.
        """
        descriptor = os.open(self.root, _FOLDER)
        try:
            for part in parts:
                if create:
                    with suppress(FileExistsError):
                        os.mkdir(part, 0o700, dir_fd=descriptor)
                below = os.open(part, _FOLDER, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = below
            yield descriptor
        except NotADirectoryError as error:
            if create:
                raise
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)) from error
        finally:
            os.close(descriptor)

    def open(self, parts: tuple[str, ...]) -> int:
        """An object as a descriptor for reading."""
        with self.folder(parts[:-1]) as folder:
            try:
                # Non-blocking: opening a fifo that somebody left here would otherwise wait for a writer.
                found = os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
            except OSError as error:
                if error.errno == errno.ELOOP:
                    raise FileNotFoundError(errno.ENOENT, "is a symbolic link") from error
                raise
        if not stat.S_ISREG(os.fstat(found).st_mode):
            os.close(found)
            raise FileNotFoundError(errno.ENOENT, "is not an object")
        return found

    def stat(self, parts: tuple[str, ...]) -> os.stat_result:
        """Size and times of an object."""
        with self.folder(parts[:-1]) as folder:
            found = os.stat(parts[-1], dir_fd=folder, follow_symlinks=False)
        if not stat.S_ISREG(found.st_mode):
            raise FileNotFoundError(errno.ENOENT, "is not an object")
        return found

    def incoming(self) -> Path:
        """A fresh name in the same file system, from where `place` can rename."""
        return self.root / INCOMING / uuid.uuid4().hex

    def place(self, source: Path, parts: tuple[str, ...]) -> os.stat_result:
        """Make the file at `source` (same file system, complete) the object, by rename; durable on return."""
        descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.fchmod(descriptor, _OBJECT_MODE)
            if os.geteuid() == 0:
                # What a boxed program wrote belongs to its user, who could give itself the right to write again.
                os.fchown(descriptor, 0, 0)
            os.fsync(descriptor)
            found = os.fstat(descriptor)
        finally:
            os.close(descriptor)
        for _ in range(_TRIES - 1):
            with suppress(FileNotFoundError):
                self._rename(source, parts)
                return found
        self._rename(source, parts)
        return found

    def take(self, source: Path, parts: tuple[str, ...]) -> os.stat_result | None:
        """`place` for a file that may lie elsewhere; None if it does. Two mounts of one file system count as two."""
        try:
            return self.place(source, parts)
        except OSError as error:
            if error.errno == errno.EXDEV:
                return None
            raise

    def _rename(self, source: Path, parts: tuple[str, ...]) -> None:
        with self.folder(parts[:-1], create=True) as folder:
            os.rename(source, parts[-1], dst_dir_fd=folder)
            os.fsync(folder)

    def link_out(self, parts: tuple[str, ...], target: Path) -> os.stat_result:
        """Make the object a file at `target`, replacing one: by hard link, or by copy to another file system."""
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
        try:
            with self.folder(parts[:-1]) as folder:
                found = self.stat(parts)
                try:
                    os.link(parts[-1], beside, src_dir_fd=folder, follow_symlinks=False)
                except OSError as error:
                    if error.errno not in {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP}:
                        raise
                    self._copy_out(parts, beside)
            beside.replace(target)
        finally:
            # After a rename onto another link of the same file, POSIX leaves both names in place.
            beside.unlink(missing_ok=True)
        return found

    def _copy_out(self, parts: tuple[str, ...], target: Path) -> None:
        with os.fdopen(self.open(parts), "rb") as source, target.open("xb") as copy:
            shutil.copyfileobj(source, copy, 1 << 20)
        target.chmod(_OBJECT_MODE)

    def remove(self, parts: tuple[str, ...]) -> bool:
        """Remove an object and the folders that this leaves empty; whether there was one."""
        try:
            with self.folder(parts[:-1]) as folder:
                os.unlink(parts[-1], dir_fd=folder)
        except (FileNotFoundError, IsADirectoryError):
            return False
        self.prune(parts[:-1])
        return True

    def prune(self, parts: tuple[str, ...]) -> None:
        """Remove this folder and those above it, as far as they are empty."""
        while parts:
            with suppress(FileNotFoundError), self.folder(parts[:-1]) as above:
                try:
                    os.rmdir(parts[-1], dir_fd=above)
                except OSError as error:
                    if error.errno in {errno.ENOTEMPTY, errno.EEXIST}:
                        return
                    raise
            parts = parts[:-1]

    def sweep(self, older_than: float) -> int:
        """Remove unfinished writes last touched before `older_than` (seconds since the epoch); how many."""
        removed = 0
        for path in (self.root / INCOMING).iterdir():
            with suppress(FileNotFoundError):
                if path.stat(follow_symlinks=False).st_mtime < older_than:
                    path.unlink()
                    removed += 1
        return removed

    def scan(self, parts: tuple[str, ...]) -> list[tuple[str, os.stat_result | None]]:
        """Names directly in a folder, in the order of the keys below them: objects with their stat, folders without.

        A folder sorts as its name with a slash, since that is how the keys below it go on. Links are not there.
        """
        found: list[tuple[str, os.stat_result | None]] = []
        with suppress(FileNotFoundError), self.folder(parts) as folder, os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if parts or entry.name != INCOMING:
                        found.append((entry.name, None))
                elif entry.is_file(follow_symlinks=False):
                    with suppress(FileNotFoundError):
                        found.append((entry.name, entry.stat(follow_symlinks=False)))
        found.sort(key=lambda item: item[0] if item[1] is not None else f"{item[0]}/")
        return found
