"""Objects in a folder of this machine: no server, same promises as an object store."""

from __future__ import annotations

import asyncio
import errno
import functools
import hashlib
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, ParamSpec, TypeVar

from vidcompute.blobs.base import BlobInfo
from vidcompute.blobs.keys import folder_segments, segments
from vidcompute.blobs.signing import is_signed, signed_path, signed_query
from vidcompute.blobs.tree import INCOMING, Tree
from vidcompute.errors import BlobsDown, InvalidInput, LimitExceeded, NotFound, StorageFull

P = ParamSpec("P")
T = TypeVar("T")

_READ_BYTES = 256 * 1024
#: Small pieces of a stream are gathered to this size before a thread is asked to write them.
_WRITE_BYTES = 1024 * 1024
_FULL = {errno.ENOSPC, errno.EDQUOT}


class LocalBlobs:
    """Implements `base.Blobs`. A file handed out by `fetch` shares its bytes with the store: never write into it."""

    def __init__(
        self,
        root: Path,
        *,
        secret: bytes,
        url_prefix: str = "/blobs",
        clock: Callable[[], float] = time.time,
        threads: int = 8,
    ) -> None:
        """`secret` signs URLs, which start with `url_prefix`; `clock` gives seconds since the epoch."""
        with _failures(str(root)):
            self._tree = Tree(root)
        self._secret = secret
        self._url_prefix = url_prefix
        self._clock = clock
        # Of the threads that the whole process shares, at most these wait for our disk.
        self._slots = asyncio.Semaphore(threads)

    async def put_stream(self, key: str, chunks: AsyncIterator[bytes], *, max_bytes: int | None = None) -> BlobInfo:
        """Write an object from a stream. Raises LimitExceeded past `max_bytes`; nothing is visible until the end."""
        parts = _object(key)
        temporary = self._tree.incoming()
        digest, size = hashlib.sha256(), 0
        try:
            file = await self._blocking(key, _create, temporary)
            try:
                async for block in _gathered(chunks):
                    size += len(block)
                    if max_bytes is not None and size > max_bytes:
                        raise LimitExceeded(f"more than {max_bytes} bytes were sent")
                    await self._blocking(key, _append, file, block, digest)
            finally:
                file.close()
            found = await self._blocking(key, self._tree.place, temporary, parts)
        finally:
            temporary.unlink(missing_ok=True)
        return BlobInfo(key, size, _etag(found), digest.hexdigest())

    async def put_bytes(self, key: str, data: bytes) -> BlobInfo:
        """Write a small object."""
        return await self.put_stream(key, _once(data))

    async def put_file(self, key: str, path: Path, *, move: bool = False) -> BlobInfo:
        """Write an object from a local file. With `move`, and on one file system, it is renamed and not hashed."""
        parts = _object(key)
        if not path.is_file():  # noqa: ASYNC240 - a bug of the caller, caught before it looks like a missing object
            raise FileNotFoundError(path)
        if move and (found := await self._blocking(key, self._tree.take, path, parts)):
            return BlobInfo(key, found.st_size, _etag(found))
        with await self._blocking(key, _open_source, path) as file:
            info = await self.put_stream(key, self._pieces(key, file, None))
        if move:
            path.unlink()  # noqa: ASYNC240 - an instant
        return info

    async def get_bytes(self, key: str, *, max_bytes: int = 64 * 1024 * 1024) -> bytes:
        """A small object, whole. Raises LimitExceeded if it is larger."""
        info = await self._require(key)
        if info.size_bytes > max_bytes:
            raise LimitExceeded(f"the object {key} has {info.size_bytes} bytes, more than {max_bytes}")
        return b"".join([piece async for piece in self.open_stream(key)])

    async def open_stream(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes [start, end) of an object, in pieces; an object replaced meanwhile goes on being the old one."""
        file = os.fdopen(await self._blocking(key, self._tree.open, _object(key)), "rb", buffering=0)
        with file:
            file.seek(start)
            async for piece in self._pieces(key, file, None if end is None else end - start):
                yield piece

    async def _pieces(self, key: str, file: IO[bytes], left: int | None) -> AsyncIterator[bytes]:
        while left is None or left > 0:
            wanted = _READ_BYTES if left is None else min(left, _READ_BYTES)
            piece = await self._blocking(key, file.read, wanted)
            if not piece:
                return
            left = None if left is None else left - len(piece)
            yield piece

    async def fetch(self, key: str, path: Path) -> BlobInfo:
        """Make the object a local file at `path`: a hard link on one file system, else a copy."""
        parts = _object(key)
        found = await self._blocking(key, self._tree.link_out, parts, path)
        return BlobInfo(key, found.st_size, _etag(found))

    async def head(self, key: str) -> BlobInfo | None:
        """Size and tag, or None."""
        try:
            return await self._require(key)
        except NotFound:
            return None

    async def _require(self, key: str) -> BlobInfo:
        found = await self._blocking(key, self._tree.stat, _object(key))
        return BlobInfo(key, found.st_size, _etag(found))

    async def list(self, prefix: str) -> AsyncIterator[BlobInfo]:
        """Objects below the folder `prefix`, in key order; what comes or goes meanwhile may or may not be among them."""
        async for key, found in self._walk(folder_segments(prefix)):
            yield BlobInfo(key, found.st_size, _etag(found))

    async def _walk(self, parts: tuple[str, ...]) -> AsyncIterator[tuple[str, os.stat_result]]:
        names = await self._blocking("/".join(parts), self._tree.scan, parts)
        for name, found in names:
            if found is not None:
                yield "/".join([*parts, name]), found
            else:
                async for below in self._walk((*parts, name)):
                    yield below

    async def copy(self, key: str, target: str) -> BlobInfo:
        """A second name for the same bytes: objects are replaced, never written into."""
        parts, temporary = _object(target), self._tree.incoming()
        await self._blocking(key, self._tree.link_out, _object(key), temporary)
        try:
            found = await self._blocking(target, self._tree.place, temporary, parts)
        finally:
            temporary.unlink(missing_ok=True)
        return BlobInfo(target, found.st_size, _etag(found))

    async def delete(self, key: str) -> None:
        """Remove an object; a missing one is no error."""
        await self._blocking(key, self._tree.remove, _object(key))

    async def delete_prefix(self, prefix: str) -> int:
        """Remove everything below the folder `prefix`; the number of objects removed."""
        parts = folder_segments(prefix)
        if not parts:
            raise InvalidInput("an empty prefix would remove every object")
        removed = 0
        # Not while walking: the listing of a folder must not change under the one who reads it.
        for key in [key async for key, _ in self._walk(parts)]:
            removed += await self._blocking(key, self._tree.remove, _object(key))
        return removed

    def signed_url(self, key: str, *, expires_s: float, method: str = "GET", filename: str | None = None) -> str:
        """A URL path that lets anybody use this one object by this one method until then."""
        segments(key)
        expires_at = self._clock() + expires_s
        query = signed_query(self._secret, method=method, key=key, expires_at=expires_at, filename=filename)
        return signed_path(self._url_prefix, key, query)

    def verify(self, method: str, key: str, query: Mapping[str, str]) -> bool:
        """Whether `query` is an unexpired signature of ours over method and key."""
        return is_signed(self._secret, method=method, key=key, query=query, now=self._clock())

    async def sweep(self, *, older_than_s: float) -> int:
        """Remove what writes cut short by a crash have left behind; how many files."""
        return await self._blocking("", self._tree.sweep, self._clock() - older_than_s)

    async def _blocking(self, key: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run in a thread, and wait for its end even if canceled: it may hold a descriptor we are about to close."""
        async with self._slots:
            call = functools.partial(function, *args, **kwargs)
            work = asyncio.get_running_loop().run_in_executor(None, call)
            with _failures(key):
                try:
                    return await asyncio.shield(work)
                except asyncio.CancelledError:
                    while not work.done():
                        try:
                            await asyncio.wait([work])
                        except asyncio.CancelledError:
                            continue  # the first cancellation is on its way already
                    raise


def _object(key: str) -> tuple[str, ...]:
    parts = segments(key)
    if parts[0] == INCOMING:
        raise InvalidInput(f"{INCOMING} is where unfinished writes are kept")
    return parts


def _etag(found: os.stat_result) -> str:
    return f"{found.st_mtime_ns:x}-{found.st_size:x}"


def _open_source(path: Path) -> IO[bytes]:
    # No link: the file may come out of a box, and a link planted there would publish what it points to.
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb", buffering=0)


def _create(path: Path) -> IO[bytes]:
    return path.open("xb", buffering=0)


def _append(file: IO[bytes], block: bytes, digest: hashlib._Hash) -> None:
    digest.update(block)
    left = memoryview(block)
    while left:
        # A raw file may take less than it was given, for instance when the disk fills up.
        left = left[file.write(left) :]


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def _gathered(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    waiting = bytearray()
    async for chunk in chunks:
        waiting += chunk
        if len(waiting) >= _WRITE_BYTES:
            yield bytes(waiting)
            waiting.clear()
    if waiting:
        yield bytes(waiting)


@contextmanager
def _failures(key: str) -> Iterator[None]:
    """OSError → the error tree."""
    try:
        yield
    except FileNotFoundError as error:
        raise NotFound(f"there is no object {key}") from error
    except (IsADirectoryError, NotADirectoryError, FileExistsError) as error:
        raise InvalidInput(f"{key!r} collides with an object or a folder of objects of that name") from error
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise InvalidInput(f"a symbolic link cannot become the object {key}") from error
        if error.errno in _FULL:
            raise StorageFull(f"no room to write {key}: {error.strerror}") from error
        raise BlobsDown(f"the folder of objects does not work for {key}: {error.strerror}") from error
