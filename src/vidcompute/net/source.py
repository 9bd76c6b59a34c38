"""A job's input, opened: a URL through the guard, or a file below the folders that the operator named."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from vidcompute.errors import SourceForbidden, SourceMissing, SourceUnreachable
from vidcompute.net.fetch import Fetcher

_READ_BYTES = 1024 * 1024
_FOLDER = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_RDONLY
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class Opened(Protocol):
    """Bytes to read once; `size_bytes` is None if nobody has said."""

    @property
    def size_bytes(self) -> int | None:
        """How many bytes `chunks` will give."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """The bytes, in pieces."""
        ...


class SourceOpener:
    """Opens the inputs that a job spec may name, except uploads, which are in the object store already."""

    def __init__(self, fetcher: Fetcher, *, roots: Sequence[Path] = ()) -> None:
        """`roots` are the folders below which `file://` inputs may lie; none by default."""
        self._fetcher = fetcher
        self._roots = tuple(roots)

    def open(self, url: str) -> AbstractAsyncContextManager[Opened]:
        """The input named by `url`. Raises SourceForbidden, SourceMissing, SourceUnreachable or LimitExceeded."""
        scheme = url.partition(":")[0].lower()
        if scheme in {"http", "https"}:
            return self._fetcher.open(url)
        if scheme == "file":
            return self._open_file(url)
        raise SourceForbidden(
            f"inputs of the kind {scheme[:20]!r} cannot be read here",
            hint="Use an http(s) URL, an upload, or a file:// URL below a folder of FILE_ROOTS.",
        )

    @asynccontextmanager
    async def _open_file(self, url: str) -> AsyncIterator[Opened]:
        opened = OpenedFile(await asyncio.to_thread(open_below, self._roots, file_path(url)))
        try:
            yield opened
        finally:
            opened.close()


class OpenedFile:
    """A regular file as a stream."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._reading: asyncio.Future[bytes] | None = None
        self.size_bytes: int | None = os.fstat(descriptor).st_size

    async def chunks(self) -> AsyncIterator[bytes]:
        """The bytes, in pieces. Raises SourceUnreachable if the disk does not give them."""
        loop = asyncio.get_running_loop()
        while True:
            self._reading = loop.run_in_executor(None, os.read, self._descriptor, _READ_BYTES)
            try:
                piece = await asyncio.shield(self._reading)
            except OSError as error:
                raise SourceUnreachable(f"the input file could not be read: {error.strerror}") from error
            if not piece:
                return
            yield piece

    def close(self) -> None:
        """Close the file, or leave that to the thread that is still reading it after a cancellation."""
        if self._reading is None or self._reading.done():
            os.close(self._descriptor)
        else:
            self._reading.add_done_callback(lambda _: os.close(self._descriptor))


def file_path(url: str) -> Path:
    """The path that a `file://` URL names (RFC 8089). Raises SourceForbidden for other hosts and odd URLs."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise SourceForbidden("the file URL cannot be read") from error
    path = unquote(parts.path)
    if parts.netloc not in {"", "localhost"} or not path.startswith("/") or "\0" in path:
        raise SourceForbidden("a file URL looks like file:///folder/clip.mp4, on this machine")
    if parts.query or parts.fragment:
        raise SourceForbidden("a file URL has no query or fragment", hint="Write ? as %3F and # as %23.")
    return Path(path)


def open_below(roots: Sequence[Path], path: Path) -> int:
    """A regular file below one of `roots`, as a descriptor for reading.

    Links may point anywhere below the roots. The resolved path is then walked again without following any, so that
    one swapped in meanwhile is refused. Raises SourceForbidden outside, also for what does not exist there.
    """
    try:
        real = path.resolve()
        root, below = next(
            (known, real.relative_to(known)) for known in (r.resolve() for r in roots) if real.is_relative_to(known)
        )
    except (StopIteration, OSError, RuntimeError) as error:
        raise SourceForbidden(f"{path} is not below a folder that inputs may be read from (FILE_ROOTS)") from error
    try:
        descriptor = _walk(root, below.parts)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SourceMissing(f"there is no file {path}") from error
    except OSError as error:
        raise SourceForbidden(f"{path} may not be read: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise SourceForbidden(f"{path} is not a regular file")
    return descriptor


def _walk(root: Path, parts: Sequence[str]) -> int:
    descriptor = os.open(root, _FOLDER)
    if not parts:
        return descriptor
    try:
        for part in parts[:-1]:
            below = os.open(part, _FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        return os.open(parts[-1], _FILE, dir_fd=descriptor)
    finally:
        os.close(descriptor)
