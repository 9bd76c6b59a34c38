from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.unit.media.published import manifest, rendition, sound
from vidcompute.errors import OutputInvalid
from vidcompute.media.dash import media_presentation
from vidcompute.media.manifest import Manifest
from vidcompute.media.mpd_reader import read_mpd

NS = {"d": "urn:mpeg:dash:schema:mpd:2011"}


def tree(described: Manifest) -> ET.Element:
    return ET.fromstring(media_presentation(described))


def test_times_are_exact_and_runs_are_folded():
    root = tree(manifest(audio=[sound()]))

    times = [
        [dict(entry.attrib) for entry in timeline.iterfind("d:S", NS)]
        for timeline in root.iterfind(".//d:SegmentTimeline", NS)
    ]

    assert times == [
        [{"t": "0", "d": "180180", "r": "1"}, {"d": "100100"}],
        [{"t": "0", "d": "288768"}, {"d": "287744"}, {"d": "160000"}],
    ]


def test_the_presentation_lasts_as_long_as_its_longest_stream():
    # 15.348667 s of picture; 15.344 s of sound
    assert tree(manifest(audio=[sound()])).attrib["mediaPresentationDuration"] == "PT15.348667S"
    longer = sound(durations=[288768, 287744, 180000])
    assert tree(manifest(audio=[longer])).attrib["mediaPresentationDuration"] == "PT15.760667S"


def test_a_client_that_buffers_one_segment_does_not_run_dry():
    root = tree(manifest(audio=[sound()]))

    assert root.attrib["minBufferTime"] == "PT6.016000S"
    assert root.attrib["maxSegmentDuration"] == "PT6.016000S"


def test_a_set_holds_one_codec():
    rungs = [rendition("v0"), rendition("v1"), rendition("v2", codec="av01.0.04M.08")]

    sets = tree(manifest(renditions=rungs)).findall(".//d:AdaptationSet", NS)

    assert [[one.attrib["id"] for one in each.iterfind("d:Representation", NS)] for each in sets] == [
        ["v0", "v1"],
        ["v2"],
    ]
    assert [each.attrib["id"] for each in sets] == ["0", "1"]


def test_sound_says_language_name_channels_and_role():
    track = sound(label="<Zwölf & mehr>", language="de", default=False, channels=8)

    found = tree(manifest(audio=[sound("a1"), track])).findall(".//d:AdaptationSet[@contentType='audio']", NS)[1]

    assert found.attrib["lang"] == "de"
    assert found.findtext("d:Label", namespaces=NS) == "<Zwölf & mehr>"
    assert found.find("d:Role", NS).attrib["value"] == "alternate"
    assert found.find(".//d:AudioChannelConfiguration", NS).attrib["value"] == "7"


def test_whole_rates_are_plain_numbers():
    root = tree(manifest(renditions=[rendition(frame_rate=30)]))

    assert {node.attrib["frameRate"] for node in root.iter() if "frameRate" in node.attrib} == {"30"}


def test_what_was_written_is_read_back(tmp_path: Path):
    described = manifest(audio=[sound()])
    (tmp_path / "manifest.mpd").write_bytes(media_presentation(described))

    found = read_mpd(tmp_path / "manifest.mpd")

    for stream in described.streams:
        said = found[stream.name]
        assert (said.codec, said.timescale, said.init_uri) == (stream.codec, stream.timescale, stream.init.uri)
        assert said.segments == tuple((part.uri, part.start, part.duration) for part in stream.segments)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<MPD",
        '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period><AdaptationSet><Representation id="v0"/></AdaptationSet></Period></MPD>',
        (
            '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period><AdaptationSet><Representation id="v0">'
            '<SegmentTemplate startNumber="0" media="x"/></Representation></AdaptationSet></Period></MPD>'
        ),
    ],
)
def test_what_is_no_presentation_of_ours_is_refused(tmp_path: Path, text: str):
    (tmp_path / "manifest.mpd").write_text(text)

    with pytest.raises(OutputInvalid, match=r"manifest\.mpd"):
        read_mpd(tmp_path / "manifest.mpd")


def test_a_missing_presentation_is_refused(tmp_path: Path):
    with pytest.raises(OutputInvalid, match=r"manifest\.mpd"):
        read_mpd(tmp_path / "manifest.mpd")
