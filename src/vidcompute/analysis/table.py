"""A frame table as a file: gzip-compressed JSON columns, checked against the schema when read.

About 4 bytes a frame: pts and similarities compress well, scenes and anchors to almost nothing.
"""

from __future__ import annotations

import gzip
import zlib
from itertools import pairwise

from pydantic import ValidationError

from vidcompute import wire
from vidcompute.domain.frames import FrameTable
from vidcompute.errors import OutputInvalid

#: A day at 60 frames a second, roughly: what a few kilobytes may not unpack to more than.
_MOST_BYTES = 256 << 20


def save(table: FrameTable) -> bytes:
    """The table as bytes; the same table gives the same bytes."""
    return gzip.compress(wire.dumps(table), compresslevel=6, mtime=0)


def load(data: bytes) -> FrameTable:
    """The table that `save` wrote. Raises OutputInvalid if it is damaged or contradicts itself."""
    unzip = zlib.decompressobj(wbits=31)
    try:
        table = wire.loads(FrameTable, unzip.decompress(data, _MOST_BYTES))
    except (zlib.error, ValidationError) as error:
        raise OutputInvalid(f"the frame table cannot be read: {error}") from error
    columns = (table.scene, table.anchor, table.similarity)
    if any(len(column) != len(table.pts) for column in columns):
        raise OutputInvalid("the columns of the frame table differ in length")
    if any(one >= other for one, other in pairwise(table.pts)):
        raise OutputInvalid("the pts of the frame table do not increase")
    return table
