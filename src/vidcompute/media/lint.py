"""Playlist rules as a list: RFC 8216's, and those of Apple's HLS Authoring Specification that apply to CMAF on demand.

A breach says which rule, where and what. The rules look at text alone; that the files behind it are as it says is the
verifier's work.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from vidcompute.errors import OutputInvalid
from vidcompute.media.manifest import nearest
from vidcompute.media.playlists import Playlist, Tag, attributes, parse_playlist

#: A file beside the playlist: our own names only, so no scheme, no folder, no query can come in by a label.
_URI = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*", re.ASCII)
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*", re.ASCII)
_AVC_LEVEL_LIMIT = 0x34  # 5.2
_LOWEST_VERSION = 6  # EXT-X-MAP outside I-frame playlists

_VARIANT_NEEDS = ("BANDWIDTH", "AVERAGE-BANDWIDTH", "CODECS", "RESOLUTION", "FRAME-RATE", "VIDEO-RANGE")
_MEDIA_NEEDS = ("TYPE", "GROUP-ID", "NAME", "LANGUAGE", "CHANNELS", "URI")
_SEGMENT_TAGS = ("EXTINF", "EXT-X-TARGETDURATION", "EXT-X-MAP", "EXT-X-MEDIA-SEQUENCE", "EXT-X-PLAYLIST-TYPE")


@dataclass(frozen=True, slots=True)
class Breach:
    """A broken rule: its source, and what is wrong where."""

    rule: str
    detail: str


def lint(text: str) -> list[Breach]:
    """All breaches of a playlist, master or media; an empty list is a good playlist."""
    try:
        playlist = parse_playlist(text)
        rules = _MASTER_RULES if playlist.is_master else _MEDIA_RULES
        return [breach for rule in (*_BOTH_RULES, *rules) for breach in rule(playlist)]
    except OutputInvalid as error:
        return [Breach("RFC 8216 §4", error.detail)]


def _version(playlist: Playlist) -> Iterator[Breach]:
    versions = [tag.value for tag in playlist.named("EXT-X-VERSION")]
    if len(versions) != 1 or not versions[0].isdecimal() or int(versions[0]) < _LOWEST_VERSION:
        yield Breach("RFC 8216 §7", f"EXT-X-VERSION of at least {_LOWEST_VERSION} expected once, found {versions}")


def _independent(playlist: Playlist) -> Iterator[Breach]:
    if not playlist.named("EXT-X-INDEPENDENT-SEGMENTS"):
        yield Breach("Apple 'independent segments'", "EXT-X-INDEPENDENT-SEGMENTS is missing")


def _uris(playlist: Playlist) -> Iterator[Breach]:
    named = [(entry.uri, entry.line) for entry in playlist.entries]
    tags = playlist.named("EXT-X-MAP") + playlist.named("EXT-X-MEDIA")
    named += [(attributes(tag).get("URI", ""), tag.line) for tag in tags]
    for uri, line in named:
        if not _URI.fullmatch(uri):
            yield Breach("own names only", f"line {line}: {uri!r} is not the name of a file beside the playlist")


def _master_only(playlist: Playlist) -> Iterator[Breach]:
    for tag in playlist.tags:
        if tag.name in _SEGMENT_TAGS:
            yield Breach("RFC 8216 §4.3.2", f"line {tag.line}: {tag.name} has no place in a master playlist")


def _missing(tag: Tag, needs: tuple[str, ...]) -> Iterator[Breach]:
    present = attributes(tag)
    for name in needs:
        if not present.get(name):
            yield Breach("Apple 'master playlist'", f"line {tag.line}: {tag.name} has no {name}")


def _variants(playlist: Playlist) -> Iterator[Breach]:
    if not playlist.entries:
        yield Breach("RFC 8216 §4.3.4.2", "there is no variant")
    for entry in playlist.entries:
        tag = entry.tags.get("EXT-X-STREAM-INF")
        if tag is None:
            yield Breach("RFC 8216 §4.3.4.2", f"line {entry.line}: {entry.uri} has no EXT-X-STREAM-INF before it")
            continue
        missing = list(_missing(tag, _VARIANT_NEEDS))
        yield from missing or _variant_values(tag)


def _variant_values(tag: Tag) -> Iterator[Breach]:
    values = attributes(tag)
    if not all(values[name].isdecimal() for name in ("BANDWIDTH", "AVERAGE-BANDWIDTH")):
        yield Breach("RFC 8216 §4.3.4.2", f"line {tag.line}: a bandwidth is not a decimal integer")
    elif int(values["BANDWIDTH"]) < int(values["AVERAGE-BANDWIDTH"]):
        yield Breach("RFC 8216 §4.3.4.2", f"line {tag.line}: the peak BANDWIDTH is below AVERAGE-BANDWIDTH")
    if not re.fullmatch(r"[1-9]\d*x[1-9]\d*", values["RESOLUTION"]):
        yield Breach("RFC 8216 §4.2", f"line {tag.line}: RESOLUTION is {values['RESOLUTION']!r}")
    avc = re.match(r"avc1\.[0-9a-f]{4}([0-9a-f]{2})", values["CODECS"])
    if avc and int(avc[1], 16) > _AVC_LEVEL_LIMIT:
        yield Breach("Apple 'H.264 up to level 5.2'", f"line {tag.line}: CODECS says {values['CODECS']!r}")


def _groups(playlist: Playlist) -> Iterator[Breach]:
    members = [(tag, attributes(tag)) for tag in playlist.named("EXT-X-MEDIA")]
    for tag, values in members:
        yield from _missing(tag, _MEDIA_NEEDS)
        if not _LANGUAGE.fullmatch(values.get("LANGUAGE", "")):
            yield Breach("RFC 5646", f"line {tag.line}: LANGUAGE is {values.get('LANGUAGE')!r}")
        if values.get("DEFAULT") == "YES" and values.get("AUTOSELECT") != "YES":
            yield Breach("RFC 8216 §4.3.4.1", f"line {tag.line}: DEFAULT=YES needs AUTOSELECT=YES")
    names = Counter((values.get("GROUP-ID"), values.get("NAME")) for _, values in members)
    defaults = Counter(values.get("GROUP-ID") for _, values in members if values.get("DEFAULT") == "YES")
    for group, name in (key for key, count in names.items() if count > 1):
        yield Breach("RFC 8216 §4.3.4.1.1", f"group {group!r} has two members of the name {name!r}")
    for group in (key for key, count in defaults.items() if count > 1):
        yield Breach("RFC 8216 §4.3.4.1.1", f"group {group!r} has more than one default")
    groups = {values.get("GROUP-ID") for _, values in members}
    for tag in playlist.named("EXT-X-STREAM-INF"):
        group = attributes(tag).get("AUDIO")
        if group is not None and group not in groups:
            yield Breach("RFC 8216 §4.3.4.2", f"line {tag.line}: there is no AUDIO group {group!r}")


def _media_only(playlist: Playlist) -> Iterator[Breach]:
    for name in ("EXT-X-STREAM-INF", "EXT-X-I-FRAME-STREAM-INF", "EXT-X-SESSION-DATA"):
        for tag in playlist.named(name):
            yield Breach("RFC 8216 §4.3.4", f"line {tag.line}: {name} has no place in a media playlist")


def _target_duration(playlist: Playlist) -> Iterator[Breach]:
    targets = [tag.value for tag in playlist.named("EXT-X-TARGETDURATION")]
    if len(targets) != 1 or not targets[0].isdecimal():
        yield Breach("RFC 8216 §4.3.3.1", f"one EXT-X-TARGETDURATION in whole seconds expected, found {targets}")
        return
    for entry in playlist.entries:
        if nearest(entry.duration()) > int(targets[0]):
            seconds = float(entry.duration())
            yield Breach(
                "RFC 8216 §4.3.3.1", f"line {entry.line}: {seconds:.6f} s is over the target of {targets[0]} s"
            )


def _map_first(playlist: Playlist) -> Iterator[Breach]:
    maps = playlist.named("EXT-X-MAP")
    first_segment = min((tag.line for tag in playlist.named("EXTINF")), default=None)
    if len(maps) != 1 or (first_segment is not None and maps[0].line > first_segment):
        yield Breach("RFC 8216 §4.3.2.5", "one EXT-X-MAP before the first segment expected")


def _ends(playlist: Playlist) -> Iterator[Breach]:
    kinds = [tag.value for tag in playlist.named("EXT-X-PLAYLIST-TYPE")]
    ended = bool(playlist.named("EXT-X-ENDLIST"))
    if kinds not in (["VOD"], ["EVENT"]):
        yield Breach("Apple 'playlist type'", f"EXT-X-PLAYLIST-TYPE VOD or EVENT expected, found {kinds}")
    elif kinds == ["VOD"] and not ended:
        yield Breach("RFC 8216 §4.3.3.4", "a VOD playlist without EXT-X-ENDLIST")
    if ended and not playlist.entries:
        yield Breach("RFC 8216 §4.3.2", "a finished playlist without segments")


_Rule = Callable[[Playlist], Iterator[Breach]]
_BOTH_RULES: tuple[_Rule, ...] = (_version, _independent, _uris)
_MASTER_RULES: tuple[_Rule, ...] = (_master_only, _variants, _groups)
_MEDIA_RULES: tuple[_Rule, ...] = (_media_only, _target_duration, _map_first, _ends)
