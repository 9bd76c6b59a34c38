"""Pages by key: a cursor says after which row to go on, so page 1000 costs what page 1 costs."""

from __future__ import annotations

import base64
import binascii
import json
import uuid
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from vidcompute.errors import InvalidInput, NotFound

T = TypeVar("T")

_MAX_CURSOR = 1000
_JOB_PREFIX = "job_"


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows in order; `next_cursor` continues after the last of them, None at the end."""

    items: list[T]
    next_cursor: str | None


def encode_cursor(*key: str | float | int) -> str:
    """An opaque cursor for a row's sort key."""
    return base64.urlsafe_b64encode(json.dumps(key, separators=(",", ":")).encode()).decode().rstrip("=")


def decode_cursor(cursor: str, *kinds: type) -> tuple[Any, ...]:
    """The sort key in `cursor`, whose parts are of these kinds. Raises InvalidInput for anything else."""
    try:
        key = json.loads(base64.urlsafe_b64decode(cursor[:_MAX_CURSOR] + "=" * (-len(cursor) % 4)))
    except (ValueError, binascii.Error, RecursionError) as error:
        raise foreign_cursor() from error
    if not isinstance(key, list) or [type(part) for part in key] != list(kinds):
        raise foreign_cursor()
    return tuple(key)


def foreign_cursor() -> InvalidInput:
    """The complaint about a cursor that no page of ours gave."""
    return InvalidInput(
        "the cursor is not one of ours", hint="Pass `next_cursor` of the page before, unchanged, or none at all."
    )


def job_text(job_id: uuid.UUID) -> str:
    """A job's id as people see it."""
    return _JOB_PREFIX + job_id.hex


def job_uuid(job_id: str) -> uuid.UUID:
    """A job's id as Postgres has it. Raises NotFound for what cannot be one: no job has such an id."""
    digits = job_id.removeprefix(_JOB_PREFIX)
    if len(digits) == 32 and digits != job_id and digits.isascii() and digits.isalnum():
        try:
            return uuid.UUID(hex=digits)
        except ValueError:
            pass
    raise NotFound(f"there is no job {job_id[:80]!r}")


def new_job_uuid(now_ms: int, randomness: bytes) -> uuid.UUID:
    """A UUIDv7 (RFC 9562 §5.7): milliseconds since the epoch, then 10 random bytes; ids sort by time of creation."""
    value = (now_ms & (1 << 48) - 1) << 80 | int.from_bytes(randomness[:10], "big")
    value = value & ~(0xF << 76) | 7 << 76
    return uuid.UUID(int=value & ~(0x3 << 62) | 2 << 62)
