"""The DASH presentation (ISO/IEC 23009-1, profiles isoff-live and CMAF) over the very segments of the HLS playlists.

Segment times are exact: SegmentTimeline counts ticks on the presentation timeline, that is after the edit list
(ISO/IEC 23009-1 §7.3.1). Sound therefore begins at 0 like the picture, its priming is taken off by the edit list in
the initialization segment, and no presentationTimeOffset is needed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from itertools import groupby
from xml.etree import ElementTree as ET

from vidcompute.media.manifest import AudioRendition, Manifest, Rendition, Stream

_NAMESPACE = "urn:mpeg:dash:schema:mpd:2011"
_PROFILES = "urn:mpeg:dash:profile:isoff-live:2011,urn:mpeg:dash:profile:cmaf:2019"
_CHANNELS_SCHEME = "urn:mpeg:dash:23003:3:audio_channel_configuration:2011"
_ROLE_SCHEME = "urn:mpeg:dash:role:2011"


def media_presentation(manifest: Manifest) -> bytes:
    """The MPD as UTF-8 XML."""
    end = max(_end(stream) for stream in manifest.streams)
    longest = max(stream.seconds(part.duration) for stream in manifest.streams for part in stream.segments)
    root = ET.Element(
        "MPD",
        {
            "xmlns": _NAMESPACE,
            "profiles": _PROFILES,
            "type": "static",
            "mediaPresentationDuration": _duration(end),
            # Each bandwidth below is a peak over about one segment, so a client that has buffered the longest one
            # does not run dry at that rate (§5.3.5.4).
            "minBufferTime": _duration(longest),
            "maxSegmentDuration": _duration(longest),
        },
    )
    period = ET.SubElement(root, "Period", {"id": "p0", "start": "PT0S"})
    for _, rungs in groupby(manifest.renditions, key=_codec_family):
        _video_set(period, list(rungs))
    for track in manifest.audio:
        _audio_set(period, track)
    ET.indent(root)
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _codec_family(rendition: Rendition) -> str:
    """Clients switch within a set without a new decoder, so a set holds one codec."""
    return rendition.codec.partition(".")[0]


def _video_set(period: ET.Element, rungs: Sequence[Rendition]) -> None:
    adaptation = _adaptation_set(
        period,
        content="video",
        attributes={
            "maxWidth": str(max(rung.width_px for rung in rungs)),
            "maxHeight": str(max(rung.height_px for rung in rungs)),
            "frameRate": _ratio(rungs[0].frame_rate),
        },
    )
    for rung in rungs:
        size = {"width": str(rung.width_px), "height": str(rung.height_px), "sar": "1:1"}
        _representation(adaptation, rung, attributes=size | {"frameRate": _ratio(rung.frame_rate)})


def _audio_set(period: ET.Element, track: AudioRendition) -> None:
    adaptation = _adaptation_set(period, content="audio", attributes={"lang": track.language})
    role = "main" if track.default else "alternate"
    ET.SubElement(adaptation, "Role", {"schemeIdUri": _ROLE_SCHEME, "value": role})
    ET.SubElement(adaptation, "Label").text = track.label
    rate = {"audioSamplingRate": str(track.sample_rate_hz)}
    representation = _representation(adaptation, track, attributes=rate)
    channels = ET.Element(
        "AudioChannelConfiguration", {"schemeIdUri": _CHANNELS_SCHEME, "value": _channel_configuration(track.channels)}
    )
    representation.insert(0, channels)  # the schema wants it before the segments


def _adaptation_set(period: ET.Element, *, content: str, attributes: dict[str, str]) -> ET.Element:
    own = {
        "id": str(len(period)),
        "contentType": content,
        "mimeType": f"{content}/mp4",
        "segmentAlignment": "true",
        "startWithSAP": "1",
    }
    return ET.SubElement(period, "AdaptationSet", own | attributes)


def _representation(adaptation: ET.Element, stream: Stream, *, attributes: dict[str, str]) -> ET.Element:
    own = {"id": stream.name, "codecs": stream.codec, "bandwidth": str(stream.peak_bitrate_bps)}
    representation = ET.SubElement(adaptation, "Representation", own | attributes)
    template = ET.SubElement(
        representation,
        "SegmentTemplate",
        {
            "timescale": str(stream.timescale),
            "initialization": stream.init.uri,
            "media": f"{stream.name}_$Number%05d$.m4s",
            "startNumber": "0",
        },
    )
    _timeline(template, stream)
    return representation


def _timeline(template: ET.Element, stream: Stream) -> None:
    timeline = ET.SubElement(template, "SegmentTimeline")
    first = True
    for duration, run in groupby(stream.segments, key=lambda segment: segment.duration):
        segments = list(run)
        entry = {"t": str(segments[0].start)} if first else {}
        entry["d"] = str(duration)
        if len(segments) > 1:
            entry["r"] = str(len(segments) - 1)
        ET.SubElement(timeline, "S", entry)
        first = False


def _end(stream: Stream) -> Fraction:
    last = stream.segments[-1]
    return stream.seconds(last.start + last.duration)


def _duration(seconds: Fraction) -> str:
    """An xs:duration in microseconds, rounded up: a client cuts off what lies beyond the end."""
    whole, micros = divmod(math.ceil(seconds * 1_000_000), 1_000_000)
    return f"PT{whole}.{micros:06}S"


def _ratio(rate: Fraction) -> str:
    return str(rate.numerator) if rate.denominator == 1 else f"{rate.numerator}/{rate.denominator}"


def _channel_configuration(channels: int) -> str:
    """ISO/IEC 23091-3 ChannelConfiguration: the usual layouts up to 5.1 are their own number, 7.1 is 7."""
    return {8: "7"}.get(channels, str(channels))
