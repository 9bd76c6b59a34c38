"""Showing reordered pictures at zero: positive composition offsets and an edit list, not negative offsets.

With B-frames something must make up for the pictures that are decoded before the first one shows. ffmpeg's CMAF mode
writes negative composition offsets. Browsers read them rightly, but every player on libavformat then shows the picture
late by the reordering delay (two pictures, 80 ms at 25 per second) against the sound. The other lawful way, offsets
from zero on and an edit list that takes the delay off again (ISO/IEC 14496-12 §8.6.6), is read alike by all.
"""

from __future__ import annotations

from array import array
from dataclasses import replace

from vidcompute.errors import OutputInvalid
from vidcompute.media.boxes import Box, box, full_box, walk
from vidcompute.media.fragments import Samples
from vidcompute.media.tracks import Head


def delayed(samples: Samples, ticks: int) -> Samples:
    """`samples` composed later by `ticks`."""
    return replace(samples, offsets=array("i", (offset + ticks for offset in samples.offsets)))


def with_edit_list(head: Head, ticks: int, *, where: str) -> Head:
    """`head` with an edit list that takes `ticks` off every composition time. OutputInvalid if it has one already."""
    if ticks == 0:
        return head
    if head.track.shift:
        raise OutputInvalid(f"{where}: has an edit list and negative composition offsets")
    # Duration 0 stands for all that follows: a fragmented file does not know its length at its beginning.
    entry = bytes(4) + ticks.to_bytes(4) + (1 << 16).to_bytes(4)
    edts = box("edts", full_box("elst", (0, 0), (1).to_bytes(4), entry))
    init = b"".join(
        box("moov", *(_with_edts(child, edts) for child in top.children())) if top.kind == "moov" else _whole(top)
        for top in walk(head.init, where=where)
    )
    return Head(replace(head.track, shift=ticks), init)


def _with_edts(child: Box, edts: bytes) -> bytes:
    if child.kind != "trak":
        return _whole(child)
    header, *rest = [_whole(part) for part in child.children()]
    return box("trak", header, edts, *rest)  # after tkhd, where §8.3.1 and most writers have it


def _whole(part: Box) -> bytes:
    return box(part.kind, bytes(part.body))
