"""Reading HLS playlists back (RFC 8216 §4), for the verifier and the linter. Shares nothing with the writer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction

from vidcompute.errors import OutputInvalid

_ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=("[^"\r\n]*"|[^",\s]+)(?:,|$)')


@dataclass(frozen=True, slots=True)
class Tag:
    """A line `#EXT…`: `name` without the hash, `value` after the colon (empty without one), `line` from 1."""

    name: str
    value: str
    line: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A URI line with the tags that stand between it and the URI before."""

    uri: str
    line: int
    tags: Mapping[str, Tag]

    def duration(self) -> Fraction:
        """Its EXTINF in seconds. OutputInvalid without a readable one."""
        tag = self.tags.get("EXTINF")
        try:
            return Fraction(Decimal(tag.value.partition(",")[0] if tag else ""))
        except (InvalidOperation, ValueError, OverflowError):
            raise OutputInvalid(f"line {self.line}: {self.uri} has no readable EXTINF") from None


@dataclass(frozen=True, slots=True)
class Playlist:
    """A playlist as its lines are: all tags in order, and the URI lines with their own tags."""

    tags: tuple[Tag, ...]
    entries: tuple[Entry, ...]

    def named(self, name: str) -> list[Tag]:
        """All tags of that name."""
        return [tag for tag in self.tags if tag.name == name]

    @property
    def is_master(self) -> bool:
        """Whether it lists variants rather than segments."""
        return any(tag.name in {"EXT-X-STREAM-INF", "EXT-X-MEDIA"} for tag in self.tags)

    def duration(self) -> Fraction:
        """Sum of the EXTINF in seconds."""
        return sum((entry.duration() for entry in self.entries), Fraction(0))


#: Tags that belong to the URI line after them, all others to the playlist.
_ENTRY_TAGS = frozenset({"EXTINF", "EXT-X-BYTERANGE", "EXT-X-DISCONTINUITY", "EXT-X-STREAM-INF"})


def parse_playlist(text: str) -> Playlist:
    """`text` as a playlist. OutputInvalid if it is none; whether it is a good one is for the linter to say."""
    lines = text.split("\n")
    if lines[0].rstrip("\r") != "#EXTM3U":
        raise OutputInvalid("line 1: a playlist begins with #EXTM3U")
    tags: list[Tag] = []
    entries: list[Entry] = []
    pending: dict[str, Tag] = {}
    for number, line in enumerate(lines, start=1):
        stripped = line.strip()
        if stripped.startswith("#EXT"):
            name, _, value = stripped[1:].partition(":")
            tag = Tag(name, value, number)
            tags.append(tag)
            if name in _ENTRY_TAGS:
                pending[name] = tag
        elif stripped and not stripped.startswith("#"):
            entries.append(Entry(stripped, number, pending))
            pending = {}
    return Playlist(tuple(tags), tuple(entries))


def attributes(tag: Tag) -> dict[str, str]:
    """The attribute list of a tag, quotes removed. OutputInvalid names the line where it is not one (§4.2)."""
    found: dict[str, str] = {}
    position = 0
    while position < len(tag.value):
        match = _ATTRIBUTE.match(tag.value, position)
        if match is None:
            raise OutputInvalid(f"line {tag.line}: {tag.name} has no attribute list from {tag.value[position:]!r} on")
        name, value = match.groups()
        if name in found:
            raise OutputInvalid(f"line {tag.line}: {tag.name} has {name} twice")
        found[name] = value.strip('"')
        position = match.end()
    return found
