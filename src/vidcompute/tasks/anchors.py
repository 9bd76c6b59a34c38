"""Anchors on their way from the analyst to the describer: batches of pictures with their facts, as objects.

Where a batch lies follows from the work prefix, the chunk and its number, so that events stay small.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from vidcompute import wire
from vidcompute.blobs.base import Blobs
from vidcompute.domain.frames import Anchor

#: Where a published result keeps the pictures of its anchors.
ANCHOR_FOLDER = "anchors"
#: Anchors described by one task: few enough to start while the encode goes on, enough to pay for loading the text
#: reader's models (a second of CPU).
BATCH_SIZE = 24


@dataclass(frozen=True, slots=True)
class Batch:
    """What lies in a batch object."""

    anchors: tuple[Anchor, ...]


def chunk_prefix(work: str, chunk: int) -> str:
    """Where the outputs of a chunk lie, below the work prefix of its source, plan and encoder."""
    return f"{work}/chunk-{chunk:05d}"


def picture_key(work: str, chunk: int, anchor: Anchor) -> str:
    """Where the picture of an anchor lies."""
    return f"{chunk_prefix(work, chunk)}/anchors/{anchor.jpeg}"


def _batch_key(work: str, chunk: int, number: int) -> str:
    return f"{chunk_prefix(work, chunk)}/anchors/batch-{number:06d}.json"


async def store_batch(blobs: Blobs, work: str, chunk: int, *, number: int, anchors: Sequence[Anchor]) -> None:
    """Store the facts of a batch whose pictures are stored already."""
    await blobs.put_bytes(_batch_key(work, chunk, number), wire.dumps(Batch(tuple(anchors))))


async def load_batch(blobs: Blobs, work: str, chunk: int, *, number: int) -> tuple[Anchor, ...]:
    """The anchors of a stored batch, in order of pts. Raises NotFound."""
    return wire.loads(Batch, await blobs.get_bytes(_batch_key(work, chunk, number))).anchors


async def all_anchors(blobs: Blobs, work: str, chunk: int, *, batches: int) -> AsyncIterator[Anchor]:
    """The anchors of a chunk, in order of pts."""
    for number in range(batches):
        for anchor in await load_batch(blobs, work, chunk, number=number):
            yield anchor
