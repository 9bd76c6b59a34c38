"""Measuring published streams again, from the files that their playlists name and from nothing else."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

from vidcompute.errors import OutputInvalid
from vidcompute.media.boxes import Cursor, extents
from vidcompute.media.fragments import Fragment, read_fragments
from vidcompute.media.lint import lint
from vidcompute.media.manifest import PublishedFile
from vidcompute.media.playlists import Entry, Playlist, attributes, parse_playlist
from vidcompute.media.tracks import Head, Track, read_head

_READ_BYTES = 1024 * 1024
_H264_SLICES = range(1, 6)
_H264_IDR = {5}
_HEVC_SLICES = range(32)
_HEVC_IDR = {19, 20}  # IDR_W_RADL, IDR_N_LP
#: Parameter sets, SEI messages and a delimiter come before the first slice; no access unit has this many.
_NAL_UNITS_LIMIT = 64


@dataclass(frozen=True, slots=True)
class MeasuredSegment:
    """A media segment: `start` and `duration` in presentation ticks, after the edit list."""

    file: PublishedFile
    start: int
    duration: int
    samples: int


@dataclass(frozen=True, slots=True)
class MeasuredStream:
    """One media playlist and all it names; at least one segment."""

    playlist_uri: str
    init: PublishedFile
    track: Track
    segments: tuple[MeasuredSegment, ...]

    @property
    def samples(self) -> int:
        """Pictures, or packets of sound."""
        return sum(part.samples for part in self.segments)

    @property
    def start_s(self) -> Fraction:
        """When the first sample is presented."""
        return Fraction(self.segments[0].start, self.track.timescale)

    @property
    def end_s(self) -> Fraction:
        """When the last sample ends."""
        last = self.segments[-1]
        return Fraction(last.start + last.duration, self.track.timescale)


def read_playlist(directory: Path, uri: str) -> Playlist:
    """A playlist that keeps every rule of the linter; OutputInvalid lists the rules that it breaks."""
    try:
        text = (directory / uri).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise OutputInvalid(f"{uri}: cannot be read ({error})") from error
    breaches = lint(text)
    if breaches:
        raise OutputInvalid(f"{uri}: " + "; ".join(f"{breach.detail} ({breach.rule})" for breach in breaches))
    return parse_playlist(text)


def measure_stream(directory: Path, playlist_uri: str) -> MeasuredStream:
    """Reads every file that a media playlist names.

    OutputInvalid names the file that is missing, that does not continue the one before it, does not start with a
    keyframe, or does not last as long as its EXTINF says.
    """
    playlist = read_playlist(directory, playlist_uri)
    init_uri = attributes(playlist.named("EXT-X-MAP")[0])["URI"]
    with _open(directory, init_uri) as file:
        init = _digest(file, init_uri)
        head = read_head(file, where=init_uri)
    if head is None:
        raise OutputInvalid(f"{init_uri}: holds no moov")
    walk = _Walk(head)
    segments = [walk.segment(directory, entry) for entry in playlist.entries]
    return MeasuredStream(playlist_uri, init, head.track, tuple(segments))


class _Walk:
    """The segments of one stream in order, each continuing where the one before it ended."""

    def __init__(self, head: Head) -> None:
        self._track = head.track
        self._end: int | None = None
        self._sequence = 0

    def segment(self, directory: Path, entry: Entry) -> MeasuredSegment:
        """Measures the segment of `entry`, which must be the next one."""
        with _open(directory, entry.uri) as file:
            measured = _digest(file, entry.uri)
            if next(extents(file, where=entry.uri)).kind != "styp":
                raise OutputInvalid(f"{entry.uri}: a segment begins with a styp box")
            fragments = list(read_fragments(file, self._track, where=entry.uri))
            if not fragments:
                raise OutputInvalid(f"{entry.uri}: holds no fragment")
            for fragment in fragments:
                self._continue(fragment, entry.uri)
            _check_start(file, fragments[0], self._track, where=entry.uri)
        # Samples that the edit list takes off altogether are decoded and not presented.
        start = max(0, fragments[0].earliest - self._track.shift)
        delay = fragments[0].earliest - fragments[0].tfdt  # of reordered pictures, where offsets are not negative
        end = fragments[-1].end + delay - self._track.shift
        segment = MeasuredSegment(measured, start, end - start, sum(len(part.samples) for part in fragments))
        self._check_extinf(segment, entry)
        return segment

    def _continue(self, fragment: Fragment, uri: str) -> None:
        if self._end is not None and fragment.tfdt != self._end:
            raise OutputInvalid(f"{uri}: decode time {self._end} expected, {fragment.tfdt} found")
        if fragment.sequence <= self._sequence:
            raise OutputInvalid(f"{uri}: fragment {fragment.sequence} follows fragment {self._sequence}")
        self._end, self._sequence = fragment.end, fragment.sequence

    def _check_extinf(self, segment: MeasuredSegment, entry: Entry) -> None:
        found = Fraction(segment.duration, self._track.timescale)
        if abs(found - entry.duration()) > Fraction(1, 1_000_000):
            raise OutputInvalid(
                f"{entry.uri}: lasts {float(found):.6f} s, its EXTINF says {float(entry.duration()):.6f} s"
            )


def _open(directory: Path, uri: str) -> BinaryIO:
    try:
        return (directory / uri).open("rb")
    except OSError as error:
        raise OutputInvalid(f"{uri}: is named in a playlist and cannot be read ({error.strerror})") from error


def _digest(file: BinaryIO, uri: str) -> PublishedFile:
    digest, size = hashlib.sha256(), 0
    while data := file.read(_READ_BYTES):
        digest.update(data)
        size += len(data)
    if size == 0:
        raise OutputInvalid(f"{uri}: is empty")
    return PublishedFile(uri, size, digest.hexdigest())


def _check_start(file: BinaryIO, fragment: Fragment, track: Track, *, where: str) -> None:
    """The first sample must be a sync sample, and where the codec tells, an IDR picture: the flag alone may lie."""
    if not fragment.starts_sync:
        raise OutputInvalid(f"{where}: does not start with a keyframe")
    if track.nal_length_bytes is None:
        return
    hevc = not track.codec.startswith("avc")
    slices, idr = (_HEVC_SLICES, _HEVC_IDR) if hevc else (_H264_SLICES, _H264_IDR)
    position, end = fragment.mdat.body_offset, fragment.mdat.body_offset + fragment.samples.sizes[0]
    for _ in range(_NAL_UNITS_LIMIT):
        if position >= end:
            break
        file.seek(position)
        header = Cursor(file.read(track.nal_length_bytes + 1), where)
        length = int.from_bytes(header.take(track.nal_length_bytes))
        kind = header.u8() >> 1 & 0x3F if hevc else header.u8() & 0x1F
        if kind in slices:
            if kind not in idr:
                raise OutputInvalid(f"{where}: starts with a slice of type {kind}, which is no IDR picture")
            return
        position += track.nal_length_bytes + length
    raise OutputInvalid(f"{where}: its first sample holds no picture")
