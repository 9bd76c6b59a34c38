"""Dataclasses ↔ JSON: the one place that turns domain nouns into bytes and back.

The domain is standard library only, so the validation of what comes from a database row, a task's
NDJSON or a blob happens here, by pydantic, against the dataclass's own annotations. A `Fraction`
travels as "30000/1001", an enum as its value, a tuple as a list.
"""

from __future__ import annotations

import functools
from collections.abc import Hashable
from typing import Any, TypeVar, cast

import pydantic.dataclasses  # noqa: F401 - loaded with the first dataclass otherwise, and inside the box no file opens
from pydantic import TypeAdapter

T = TypeVar("T")


@functools.lru_cache(maxsize=64)
def _cached(kind: Hashable) -> TypeAdapter[Any]:
    return TypeAdapter(cast("Any", kind))


def _adapter(kind: Any) -> TypeAdapter[Any]:
    return _cached(kind)


def plain(value: object) -> Any:
    """`value` (a dataclass, or containers of them) as JSON-compatible Python objects."""
    return _adapter(type(value)).dump_python(value, mode="json")


def parse(kind: type[T], data: object) -> T:
    """`data` (JSON-compatible Python objects) as `kind`. Raises pydantic.ValidationError if it does not fit."""
    parsed: T = _adapter(kind).validate_python(data)
    return parsed


def dumps(value: object) -> bytes:
    """`value` as compact JSON bytes."""
    return _adapter(type(value)).dump_json(value)


def loads(kind: type[T], data: bytes | str) -> T:
    """JSON bytes as `kind`. Raises pydantic.ValidationError if they do not fit."""
    parsed: T = _adapter(kind).validate_json(data)
    return parsed
