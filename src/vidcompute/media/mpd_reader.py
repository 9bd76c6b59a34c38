"""Reading our MPD back, for the verifier. Shares nothing with the writer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from vidcompute.errors import OutputInvalid

_DASH = {"d": "urn:mpeg:dash:schema:mpd:2011"}
_NUMBER = "$Number%05d$"


@dataclass(frozen=True, slots=True)
class Described:
    """A Representation: `segments` are (uri, start, duration) with times in ticks of `timescale`."""

    codec: str
    timescale: int
    init_uri: str
    segments: tuple[tuple[str, int, int], ...]


def read_mpd(path: Path) -> dict[str, Described]:
    """The Representations by id. OutputInvalid if the file is no MPD of the kind that we write."""
    try:
        root = ET.parse(path).getroot()  # noqa: S314 - our own output
        return {
            representation.attrib["id"]: _described(representation)
            for representation in root.iterfind("d:Period/d:AdaptationSet/d:Representation", _DASH)
        }
    except (OSError, ET.ParseError, KeyError, ValueError) as error:
        raise OutputInvalid(f"{path.name}: cannot be read ({error!r})") from error


def _described(representation: ET.Element) -> Described:
    template = representation.find("d:SegmentTemplate", _DASH)
    if template is None:
        raise ValueError(f"no SegmentTemplate in {representation.attrib['id']}")
    first, media = int(template.attrib["startNumber"]), template.attrib["media"]
    if _NUMBER not in media:
        raise ValueError(f"no {_NUMBER} in {media}")
    segments = tuple(
        (media.replace(_NUMBER, f"{number:05}"), start, duration)
        for number, (start, duration) in enumerate(_timeline(template), start=first)
    )
    return Described(
        codec=representation.attrib["codecs"],
        timescale=int(template.attrib["timescale"]),
        init_uri=template.attrib["initialization"],
        segments=segments,
    )


def _timeline(template: ET.Element) -> Iterator[tuple[int, int]]:
    time = 0
    for entry in template.iterfind("d:SegmentTimeline/d:S", _DASH):
        time, duration = int(entry.get("t", time)), int(entry.attrib["d"])
        for _ in range(int(entry.get("r", "0")) + 1):
            yield time, duration
            time += duration
