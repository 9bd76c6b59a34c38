"""The original's bytes: fetched once, kept in the store by content, cached once per node."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from vidcompute.blobs.base import Blobs
from vidcompute.errors import LimitExceeded, SourceMissing, StorageFull
from vidcompute.net.source import SourceOpener

#: Progress is said at most once per this many bytes.
_REPORT_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class StoredSource:
    """An original in the store: content key, SHA-256 (hex) and size."""

    key: str
    sha256: str
    size_bytes: int


def source_key(tenant_id: str, sha256: str) -> str:
    """Where an original with this digest is kept."""
    return f"{tenant_id}/sources/{sha256}"


async def store_source(
    blobs: Blobs,
    opener: SourceOpener,
    url: str,
    *,
    tenant_id: str,
    folder: Path,
    max_bytes: int,
    report: Callable[[int, int | None], None],
) -> StoredSource:
    """Fetch `url` (https, http or file) once, hashing on the way, into the store.

    Raises SourceMissing, SourceForbidden, SourceUnreachable, LimitExceeded, StorageFull.
    """
    target = folder / "download"
    digest = hashlib.sha256()
    size = 0
    async with opener.open(url) as opened:
        if opened.size_bytes is not None and opened.size_bytes > max_bytes:
            raise LimitExceeded(f"the input has {opened.size_bytes} bytes; MAX_UPLOAD_BYTES is {max_bytes}")
        with target.open("wb") as file:
            async for piece in opened.chunks():
                size += len(piece)
                if size > max_bytes:
                    raise LimitExceeded(f"the input has more than {max_bytes} bytes (MAX_UPLOAD_BYTES)")
                digest.update(piece)
                with _full_disk_is_ours():
                    file.write(piece)
                if size % _REPORT_BYTES < len(piece):
                    report(size, opened.size_bytes)
    stored = StoredSource(source_key(tenant_id, digest.hexdigest()), digest.hexdigest(), size)
    if await blobs.head(stored.key) is None:
        await blobs.put_file(stored.key, target, move=True)
    return stored


async def adopt_upload(blobs: Blobs, key: str, *, tenant_id: str) -> StoredSource:
    """Give an upload its content key. The upload itself stays until housekeeping removes it."""
    info = await blobs.head(key)
    if info is None:
        raise SourceMissing("the upload is gone or was never finished", hint="Upload the file again and resubmit.")
    sha256 = info.sha256 or await _digest(blobs.open_stream(key))
    stored = StoredSource(source_key(tenant_id, sha256), sha256, info.size_bytes)
    if await blobs.head(stored.key) is None:
        await blobs.copy(key, stored.key)
    return stored


async def _digest(stream: AsyncIterator[bytes]) -> str:
    digest = hashlib.sha256()
    async for piece in stream:
        digest.update(piece)
    return digest.hexdigest()


@contextlib.asynccontextmanager
async def cached(blobs: Blobs, source: StoredSource, cache: Path) -> AsyncIterator[int]:
    """The original as an open, read-only file descriptor, fetched to this node at most once.

    An eviction while it is in use takes the name only; the open descriptor keeps the bytes.
    """
    path = cache / source.sha256
    with _exclusive(cache / f"{source.sha256}.lock"):
        if not path.exists() or path.stat().st_size != source.size_bytes:
            # A name of our own: an evicted lock file may let two processes in.
            partial = cache / f"{source.sha256}.{os.getpid()}.partial"
            partial.unlink(missing_ok=True)
            await blobs.fetch(source.key, partial)
            partial.rename(path)
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def evict(cache: Path, *, keep_bytes: int) -> int:
    """Remove the longest unused originals until at most `keep_bytes` are left; the bytes removed."""
    if not cache.is_dir():
        return 0
    files = sorted((p for p in cache.iterdir() if "." not in p.name), key=lambda p: p.stat().st_atime)
    total = sum(p.stat().st_size for p in files)
    removed = 0
    for path in files:
        if total - removed <= keep_bytes:
            break
        removed += path.stat().st_size
        path.unlink(missing_ok=True)
        (cache / f"{path.name}.lock").unlink(missing_ok=True)
    return removed


@contextlib.contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _full_disk_is_ours() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageFull(f"cannot write the fetched input: {error.strerror}") from error
