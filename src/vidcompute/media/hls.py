"""HLS playlists (RFC 8216, and Apple's HLS Authoring Specification where it asks for more).

Pure functions from what was measured to text. The next kinds of playlist (I-frames, subtitles) are further lines of
the master and a media playlist of their own; nothing here has to change for them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

from vidcompute.domain.media import Transfer
from vidcompute.media.manifest import AudioRendition, Manifest, Rendition, Stream

#: Fragmented MP4 with EXT-X-MAP outside I-frame playlists needs 6 (RFC 8216 §7); Apple's tools write 7 for CMAF.
_VERSION = 7
_VIDEO_RANGES = {Transfer.SDR: "SDR", Transfer.PQ: "PQ", Transfer.HLG: "HLG"}
#: The first variant is what native players start with; Apple asks for about this on Wi-Fi.
_FIRST_VARIANT_BPS = 2_000_000


def master_playlist(manifest: Manifest) -> str:
    """The master playlist: one variant for each rung, and for each codec that there is sound in."""
    groups = _audio_groups(manifest.audio)
    lines = ["#EXTM3U", f"#EXT-X-VERSION:{_VERSION}", "#EXT-X-INDEPENDENT-SEGMENTS"]
    for group, members in groups.items():
        languages: set[str] = set()
        for member in members:
            lines.append(_media(member, group=group, first_of_language=member.language not in languages))
            languages.add(member.language)
    for rendition in starting_first(manifest.renditions):
        for group, members in groups.items() or [("", [])]:
            lines += [_variant(rendition, group=group, audio=members), rendition.playlist_uri]
    return _text(lines)


def media_playlist(stream: Stream, *, target_duration_s: int) -> str:
    """The complete (VOD) playlist of one rendition."""
    return _text([*_media_lines(stream, target_duration_s=target_duration_s, kind="VOD"), "#EXT-X-ENDLIST"])


def event_playlist(stream: Stream, *, target_duration_s: int) -> str:
    """A growing playlist of the segments so far (RFC 8216 §4.3.3.5: may only be appended to).

    `stream` holds the verified segments, from the first one on and without a hole; its totals are not looked at.
    """
    return _text(_media_lines(stream, target_duration_s=target_duration_s, kind="EVENT"))


def starting_first(renditions: Sequence[Rendition]) -> list[Rendition]:
    """The rungs with the one to start with in front, the others in their order."""
    affordable = [rung for rung in renditions if rung.peak_bitrate_bps <= _FIRST_VARIANT_BPS]
    first = (
        max(affordable, key=lambda rung: rung.peak_bitrate_bps)
        if affordable
        else min(renditions, key=lambda rung: rung.peak_bitrate_bps)
    )
    return [first, *(rung for rung in renditions if rung is not first)]


def quoted(text: str) -> str:
    """`text` as a quoted string. ValueError if it holds what RFC 8216 §4.2 forbids there."""
    if any(char in text for char in '"\r\n'):
        raise ValueError(f"not a quoted string of an attribute list: {text!r}")
    return f'"{text}"'


def _audio_groups(audio: Iterable[AudioRendition]) -> dict[str, list[AudioRendition]]:
    """Sound by codec: a variant names one CODECS for all members of its group."""
    groups: dict[str, list[AudioRendition]] = {}
    for member in audio:
        groups.setdefault(f"audio-{member.codec}", []).append(member)
    return groups


def _media(member: AudioRendition, *, group: str, first_of_language: bool) -> str:
    return "#EXT-X-MEDIA:" + _attributes(
        {
            "TYPE": "AUDIO",
            "GROUP-ID": quoted(group),
            "NAME": quoted(member.label),
            "LANGUAGE": quoted(member.language),
            "DEFAULT": "YES" if member.default else "NO",
            # Members chosen by language alone must differ in it (RFC 8216 §4.3.4.1.1); the default must be choosable.
            "AUTOSELECT": "YES" if member.default or first_of_language else "NO",
            "CHANNELS": quoted(str(member.channels)),
            "URI": quoted(member.playlist_uri),
        }
    )


def _variant(rendition: Rendition, *, group: str, audio: Sequence[AudioRendition]) -> str:
    peak = rendition.peak_bitrate_bps + max((member.peak_bitrate_bps for member in audio), default=0)
    average = rendition.bitrate_bps + max((member.bitrate_bps for member in audio), default=0)
    attributes = {
        "BANDWIDTH": str(max(peak, average)),
        "AVERAGE-BANDWIDTH": str(average),
        "CODECS": quoted(",".join([rendition.codec, *dict.fromkeys(member.codec for member in audio)])),
        "RESOLUTION": f"{rendition.width_px}x{rendition.height_px}",
        "FRAME-RATE": f"{float(rendition.frame_rate):.3f}",
        "VIDEO-RANGE": _VIDEO_RANGES[rendition.transfer],
    }
    if audio:
        attributes["AUDIO"] = quoted(group)
    # Without this a player may offer captions that are not there (RFC 8216 §4.3.4.2).
    attributes["CLOSED-CAPTIONS"] = "NONE"
    return "#EXT-X-STREAM-INF:" + _attributes(attributes)


def _media_lines(stream: Stream, *, target_duration_s: int, kind: str) -> list[str]:
    lines = [
        "#EXTM3U",
        f"#EXT-X-VERSION:{_VERSION}",
        f"#EXT-X-TARGETDURATION:{target_duration_s}",
        "#EXT-X-MEDIA-SEQUENCE:0",
        f"#EXT-X-PLAYLIST-TYPE:{kind}",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        f"#EXT-X-MAP:URI={quoted(stream.init.uri)}",
    ]
    for segment in stream.segments:
        duration_us = _microseconds(stream.seconds(segment.start + segment.duration))
        duration_us -= _microseconds(stream.seconds(segment.start))
        lines += [f"#EXTINF:{duration_us // 1_000_000}.{duration_us % 1_000_000:06},", segment.uri]
    return lines


def _microseconds(seconds: Fraction) -> int:
    """Rounded on the stream's own clock: durations are differences of these, so their errors never add up."""
    return math.floor(seconds * 1_000_000 + Fraction(1, 2))


def _attributes(values: Mapping[str, str]) -> str:
    return ",".join(f"{name}={value}" for name, value in values.items())


def _text(lines: Iterable[str]) -> str:
    return "\n".join(lines) + "\n"
