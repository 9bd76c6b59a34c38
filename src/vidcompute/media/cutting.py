"""Cutting renditions into segments on the grid that all of them share: every `plan.segment_frames` pictures.

The grid is a pure function of the picture number. A very short last segment is kept rather than merged into the one
before it: RFC 8216 and Apple's rules set no minimum, and a segment that was already offered in a growing (EVENT)
playlist must not change when it turns out to be the last but one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby, pairwise
from pathlib import Path
from typing import BinaryIO

from vidcompute.domain.plan import AudioPlan, Plan, RenditionPlan
from vidcompute.errors import OutputInvalid
from vidcompute.media.chunks import ChunkWalk, Piece
from vidcompute.media.manifest import PublishedFile, Segment, nearest
from vidcompute.media.reorder import delayed, with_edit_list
from vidcompute.media.segments import STYP, SegmentFile, append_fragment
from vidcompute.media.sound import PacketTable, read_packets
from vidcompute.media.tracks import Head, Track, TrackKind, read_head

#: Sound that outlasts the picture by less than this stays in the last segment where the target duration allows.
_TAIL_S = Fraction(1, 2)


@dataclass(frozen=True, slots=True)
class Cut:
    """A rendition as it was written: at least one segment."""

    track: Track
    init: PublishedFile
    segments: tuple[Segment, ...]

    @property
    def samples(self) -> int:
        """Pictures, or packets of sound."""
        return sum(part.samples for part in self.segments)


def cut_video(plan: Plan, rendition: RenditionPlan, *, chunks: Sequence[Path], out: Path) -> Cut:
    """Writes the segments of one rung from its chunk files.

    OutputInvalid names the chunk that is not what the plan says (see ChunkWalk), or says that there is no picture.
    """
    where = f"rendition {rendition.name}"
    delay = -min(
        (min(piece.fragment.samples.offsets) for piece in ChunkWalk(plan, rendition).pieces(chunks)), default=0
    )
    segments: list[Segment] = []
    head: Head | None = None
    sequence = 1
    pieces = ChunkWalk(plan, rendition).pieces(chunks)
    for number, group in groupby(pieces, key=lambda piece: piece.frame // plan.segment_frames):
        with SegmentFile(out / segment_name(rendition.name, number)) as target:
            written = list(_copy_pieces(group, target, sequence=sequence, delay=max(0, delay)))
        sequence += len(written)
        head = written[0].head
        segments.append(_video_segment(target, written))
    if head is None:
        raise OutputInvalid(f"{where}: the encoder produced no picture")
    head = with_edit_list(head, max(0, delay), where=where)
    return Cut(head.track, _write_init(head, rendition.name, out=out), tuple(segments))


def cut_audio(plan: Plan, audio: AudioPlan, *, source: Path, video_segments: int, out: Path) -> Cut | None:
    """Writes the segments of one sound track, each cut at the packet nearest to the picture's boundary.

    None if the encoder produced no sound. OutputInvalid if the file is not the sound of the plan, or has a gap.
    """
    where = f"audio {audio.name}"
    with source.open("rb") as file:
        head = read_head(file, where=where)
        if head is None:
            return None
        if head.track.kind is not TrackKind.AUDIO:
            raise OutputInvalid(f"{where}: sound was planned, {head.track.codec} found")
        table = read_packets(file, head.track, where=where)
        if not len(table):
            return None
        cuts = _audio_cuts(plan, head.track, table=table, video_segments=video_segments)
        segments = [
            _audio_segment(file, head.track, table=table, span=span, path=out / segment_name(audio.name, number))
            for number, span in enumerate(cuts)
        ]
    return Cut(head.track, _write_init(head, audio.name, out=out), tuple(segments))


def segment_name(stream: str, number: int) -> str:
    """File name of a segment, e.g. `v0_00012.m4s`."""
    return f"{stream}_{number:05}.m4s"


def _copy_pieces(pieces: Iterable[Piece], target: SegmentFile, *, sequence: int, delay: int) -> Iterator[Piece]:
    target.write(STYP)
    for number, piece in enumerate(pieces, start=sequence):
        fragment = piece.fragment
        append_fragment(
            target,
            piece.file,
            track=piece.head.track,
            sequence=number,
            tfdt=fragment.tfdt,
            samples=delayed(fragment.samples, delay),
            places=[(fragment.mdat.body_offset, fragment.mdat.size - fragment.mdat.header)],
        )
        yield piece


def _video_segment(target: SegmentFile, pieces: Sequence[Piece]) -> Segment:
    first, track = pieces[0].fragment, pieces[0].head.track
    return Segment(
        uri=target.name,
        size_bytes=target.size_bytes,
        sha256=target.sha256,
        start=first.earliest - track.shift,
        duration=sum(piece.fragment.samples.duration for piece in pieces),
        samples=sum(len(piece.fragment.samples) for piece in pieces),
    )


def _audio_cuts(plan: Plan, track: Track, *, table: PacketTable, video_segments: int) -> list[range]:
    """Which samples go into which segment: all of them, in order, none of the ranges empty."""
    segment_s = plan.segment_frames / plan.picture.frame_rate
    end_s = Fraction(table.end - track.shift, track.timescale)
    count = max(1, -(-end_s // segment_s))
    tail_s = end_s - (count - 1) * segment_s
    if count > video_segments and tail_s < _TAIL_S and nearest(segment_s + tail_s) <= nearest(segment_s):
        count -= 1
    bounds = [table.nearest(number * segment_s * track.timescale + track.shift) for number in range(1, count)]
    return [range(start, stop) for start, stop in pairwise([0, *bounds, len(table)]) if start < stop]


def _audio_segment(file: BinaryIO, track: Track, *, table: PacketTable, span: range, path: Path) -> Segment:
    number = int(path.stem.rpartition("_")[2])
    with SegmentFile(path) as target:
        target.write(STYP)
        append_fragment(
            target,
            file,
            track=track,
            sequence=number + 1,
            tfdt=table.starts[span.start],
            samples=table.part(span),
            places=table.ranges(span),
        )
    # What the edit list takes off is decoded for the encoder's sake, and never presented.
    start = max(0, table.starts[span.start] - track.shift)
    end = table.starts[span.stop - 1] + table.samples.durations[span.stop - 1] - track.shift
    return Segment(path.name, target.size_bytes, target.sha256, start, end - start, len(span))


def _write_init(head: Head, stream: str, *, out: Path) -> PublishedFile:
    with SegmentFile(out / f"{stream}_init.mp4") as target:
        target.write(head.init)
    return PublishedFile(target.name, target.size_bytes, target.sha256)
