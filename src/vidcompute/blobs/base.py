"""The Blobs protocol. Every implementation passes tests/contract/test_blobs.py."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class BlobInfo:
    """Size in bytes and entity tag of a stored object; `sha256` (hex) where the write computed it."""

    key: str
    size_bytes: int
    etag: str
    sha256: str | None = None


class Blobs(Protocol):
    """Objects that appear whole or not at all. All methods raise BlobsDown or StorageFull; reads raise NotFound."""

    async def put_stream(self, key: str, chunks: AsyncIterator[bytes], *, max_bytes: int | None = None) -> BlobInfo:
        """Write an object from a stream. Raises LimitExceeded past `max_bytes`; nothing is visible until the end."""
        ...

    async def put_bytes(self, key: str, data: bytes) -> BlobInfo:
        """Write a small object."""
        ...

    async def put_file(self, key: str, path: Path, *, move: bool = False) -> BlobInfo:
        """Write an object from a local file; with `move` the file may be taken instead of copied."""
        ...

    async def get_bytes(self, key: str, *, max_bytes: int = 64 * 1024 * 1024) -> bytes:
        """A small object, whole. Raises LimitExceeded if it is larger."""
        ...

    def open_stream(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes [start, end) of an object, in pieces."""
        ...

    async def fetch(self, key: str, path: Path) -> BlobInfo:
        """Make the object a local file at `path` (a hard link where the store is this machine)."""
        ...

    async def head(self, key: str) -> BlobInfo | None:
        """Size and tag, or None."""
        ...

    def list(self, prefix: str) -> AsyncIterator[BlobInfo]:
        """Objects below `prefix`, in key order."""
        ...

    async def copy(self, key: str, target: str) -> BlobInfo:
        """Copy within the store without moving bytes through us where the store can."""
        ...

    async def delete(self, key: str) -> None:
        """Remove an object; a missing one is no error."""
        ...

    async def delete_prefix(self, prefix: str) -> int:
        """Remove everything below `prefix`; the number of objects removed."""
        ...

    def signed_url(self, key: str, *, expires_s: float, method: str = "GET", filename: str | None = None) -> str:
        """A URL that lets anybody use this one object by this one method until then."""
        ...
