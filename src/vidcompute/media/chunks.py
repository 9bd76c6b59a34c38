"""Walking the chunk files of one rendition as one stream, and proving that they are one.

Each chunk was made by an encoder process of its own, perhaps on another machine. Here it shows whether they agree:
byte-equal initialization segments, decode times that continue, and pictures on the plan's grid.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

from vidcompute.domain.job import Codec
from vidcompute.domain.plan import Plan, RenditionPlan
from vidcompute.errors import OutputInvalid
from vidcompute.media.fragments import Fragment, read_fragments
from vidcompute.media.tracks import Head, Track, TrackKind, read_head

_CODEC_PREFIXES = {Codec.H264: ("avc1.",), Codec.HEVC: ("hvc1.", "hev1."), Codec.AV1: ("av01.",), Codec.VP9: ("vp09.",)}

#: H.264 and HEVC hold at most 16 pictures for reordering; negative offsets double the reach.
_REORDER_LIMIT = 32


@dataclass(frozen=True, slots=True)
class Piece:
    """A fragment in its open chunk file. `frame` is the number of its first picture within the rendition."""

    file: BinaryIO
    head: Head
    fragment: Fragment
    frame: int


class ChunkWalk:
    """One pass over the chunks of a rendition; `pieces` is the pass, the other fields say how far it got."""

    def __init__(self, plan: Plan, rendition: RenditionPlan) -> None:
        """Checks against `plan` and its `rendition`."""
        self._plan = plan
        self._rendition = rendition
        self._head: Head | None = None
        self._frames = 0
        self._end_ticks: int | None = None
        #: Last chunk that held pictures, and where it ended.
        self._last_chunk: int | None = None

    def pieces(self, paths: Sequence[Path]) -> Iterator[Piece]:
        """The fragments of all chunks in order; each file is open while its fragments are handed out.

        Trailing chunks may be short or empty (a damaged source ends early). Everything else that is not what the
        plan says is OutputInvalid and names the rendition and the chunk.
        """
        if len(paths) != len(self._plan.chunks):
            raise OutputInvalid(
                f"rendition {self._rendition.name}: {len(self._plan.chunks)} chunks planned, {len(paths)} given"
            )
        for chunk, path in enumerate(paths):
            where = self._where(chunk)
            with path.open("rb") as file:
                head = read_head(file, where=where)
                if head is None:
                    continue
                for fragment in read_fragments(file, head.track, where=where):
                    if self._last_chunk != chunk:
                        self._begin(chunk, head)
                    yield Piece(file, head, fragment, self._accept(fragment, head.track, chunk=chunk))

    def _where(self, chunk: int) -> str:
        return f"rendition {self._rendition.name}, chunk {chunk}"

    def _begin(self, chunk: int, head: Head) -> None:
        """The first fragment of a chunk: same head as before, and the place that the plan gave it."""
        if self._head is None:
            self._check_head(head, chunk)
            self._head = head
        elif head.init != self._head.init:
            raise OutputInvalid(
                f"{self._where(chunk)}: its initialization segment ({len(head.init)} bytes) differs from that of the "
                f"chunks before ({len(self._head.init)} bytes); chunks of one rendition must come from one encoder build",
                evidence={"expected": self._head.init.hex(), "found": head.init.hex()},
            )
        planned = self._plan.chunks[chunk].start_frame
        if self._frames != planned:
            culprit = chunk if self._last_chunk is None else self._last_chunk
            raise OutputInvalid(
                f"{self._where(culprit)}: ended before picture {self._frames}, but picture {planned} comes next; "
                f"{planned} pictures were expected up to here"
            )
        self._last_chunk = chunk

    def _check_head(self, head: Head, chunk: int) -> None:
        track, wanted = head.track, self._rendition
        if track.kind is not TrackKind.VIDEO or not track.codec.startswith(_CODEC_PREFIXES[wanted.codec]):
            raise OutputInvalid(f"{self._where(chunk)}: {wanted.codec} was planned, {track.codec} found")
        if (track.width_px, track.height_px) != (wanted.width_px, wanted.height_px):
            raise OutputInvalid(
                f"{self._where(chunk)}: {wanted.width_px}×{wanted.height_px} pixels planned, "
                f"{track.width_px}×{track.height_px} found"
            )
        if (track.timescale / self._plan.picture.frame_rate).denominator != 1:
            raise OutputInvalid(
                f"{self._where(chunk)}: a timescale of {track.timescale} cannot hold "
                f"{self._plan.picture.frame_rate} pictures per second exactly"
            )

    def _accept(self, fragment: Fragment, track: Track, *, chunk: int) -> int:
        """Checks the fragment's times and returns the number of its first picture."""
        ticks = int(track.timescale / self._plan.picture.frame_rate)
        frame, where = self._frames, f"{self._where(chunk)}, fragment at byte {fragment.moof.offset}"
        if self._end_ticks is not None and fragment.tfdt != self._end_ticks:
            raise OutputInvalid(f"{where}: decode time {self._end_ticks} expected, {fragment.tfdt} found")
        if max(map(abs, fragment.samples.offsets)) > _REORDER_LIMIT * ticks:
            raise OutputInvalid(f"{where}: shows a picture more than {_REORDER_LIMIT} pictures from its decoding")
        shown = fragment.earliest - track.shift
        if shown != frame * ticks:
            raise OutputInvalid(
                f"{where}: picture {frame} should show at {_clock(frame * ticks, track)}, shows at {_clock(shown, track)}"
            )
        if set(fragment.samples.durations) != {ticks}:
            raise OutputInvalid(f"{where}: a picture lasts other than {ticks} ticks ({_clock(ticks, track)})")
        self._check_keyframe(fragment, frame, where=where)
        self._frames += len(fragment.samples)
        self._end_ticks = fragment.end
        return frame

    def _check_keyframe(self, fragment: Fragment, frame: int, *, where: str) -> None:
        """Players switch renditions at segment starts only, so each must be a fragment that stands alone."""
        grid = self._plan.segment_frames
        crossed = (frame + len(fragment.samples) - 1) // grid * grid
        if not fragment.starts_sync:
            raise OutputInvalid(f"{where}: picture {frame} is not a keyframe")
        if crossed > frame:
            raise OutputInvalid(f"{where}: picture {crossed} begins a segment and is not a keyframe")


def _clock(ticks: int, track: Track) -> str:
    return f"{float(Fraction(ticks, track.timescale)):.6f} s"
