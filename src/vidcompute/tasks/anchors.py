"""Anchors on their way from the analyst to the describer: batches of pictures with their facts, as objects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vidcompute import wire
from vidcompute.blobs.base import Blobs
from vidcompute.domain.frames import Anchor

#: Where a published result keeps the pictures of its anchors.
ANCHOR_FOLDER = "anchors"
#: Anchors described by one task: few enough to start while the encode goes on, enough to pay for loading a model.
BATCH_SIZE = 8


@dataclass(frozen=True, slots=True)
class Batch:
    """What lies in a batch object."""

    anchors: tuple[Anchor, ...]


async def store_batch(
    blobs: Blobs, prefix: str, *, chunk: int, number: int, pictures: list[tuple[Anchor, bytes]]
) -> dict[str, Any]:
    """Store pictures and facts of a batch; its summary (where it is, how many) is what travels in events."""
    for anchor, jpeg in pictures:
        await blobs.put_bytes(f"{prefix}/{anchor.jpeg}", jpeg)
    key = f"{prefix}/batch-{number:05d}.json"
    await blobs.put_bytes(key, wire.dumps(Batch(tuple(anchor for anchor, _ in pictures))))
    return {"chunk": chunk, "number": number, "key": key, "prefix": prefix, "anchors": len(pictures)}


async def batch_of(blobs: Blobs, summary: dict[str, Any]) -> tuple[Anchor, ...]:
    """The anchors of a stored batch."""
    return wire.loads(Batch, await blobs.get_bytes(summary["key"])).anchors
