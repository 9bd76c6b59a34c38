"""What an object may be called."""

from __future__ import annotations

from vidcompute.errors import InvalidInput

_MAX_KEY_BYTES = 1024
_MAX_SEGMENT_BYTES = 255


def segments(key: str) -> tuple[str, ...]:
    """The parts of `key` between slashes, each a legal file name.

    Raises InvalidInput for what no store should be asked for: absolute keys, `.` and `..`, NUL, and lengths beyond
    what file systems (255 bytes a part) and object stores (1024 bytes a key) take.
    """
    parts = tuple(key.split("/"))
    if not all(map(_legal, parts)) or len(key.encode(errors="replace")) > _MAX_KEY_BYTES:
        raise InvalidInput(f"{key[:200]!r} cannot be the name of an object")
    return parts


def folder_segments(prefix: str) -> tuple[str, ...]:
    """The parts of `prefix` as a folder, with or without a slash at its end; none for everything."""
    bare = prefix.removesuffix("/")
    return segments(bare) if bare else ()


def _legal(part: str) -> bool:
    try:
        length = len(part.encode())
    except UnicodeEncodeError:
        return False
    return 0 < length <= _MAX_SEGMENT_BYTES and part not in {".", ".."} and "\0" not in part
