import pytest

from tests.unit.media.synthetic import AVCC, ESDS, audio_entry, visual_entry
from vidcompute.domain.media import Transfer
from vidcompute.errors import OutputInvalid
from vidcompute.media import codecs
from vidcompute.media.boxes import Box, box, full_box, walk


def entry(data: bytes) -> Box:
    return next(walk(data, where="init.mp4"))


# Configuration records as ffmpeg 9.0.2 wrote them.
HVCC = bytes.fromhex("0101600000009000000000003cf000fcfdf8f800000f00")


@pytest.mark.parametrize(
    ("sample_entry", "expected"),
    [
        (visual_entry("avc1", box("avcC", AVCC)), "avc1.64000d"),
        (visual_entry("hvc1", box("hvcC", HVCC)), "hvc1.1.6.L60.90"),
        (visual_entry("hev1", box("hvcC", bytes.fromhex("0122200000009000000000007bf000"))), "hev1.2.4.H123.90"),
        (visual_entry("av01", box("av1C", bytes.fromhex("81000c00"))), "av01.0.00M.08"),
        (visual_entry("av01", box("av1C", bytes.fromhex("8108cc00"))), "av01.0.08H.10"),
        (visual_entry("av01", box("av1C", bytes.fromhex("814d6c00"))), "av01.2.13M.12"),
        (visual_entry("vp09", full_box("vpcC", (1, 0), bytes.fromhex("000b820202020000"))), "vp09.00.11.08"),
    ],
)
def test_video_codec_strings_follow_the_configuration_record(sample_entry: bytes, expected: str):
    assert codecs.video_codec(entry(sample_entry)) == expected


@pytest.mark.parametrize(
    ("sample_entry", "expected"),
    [
        (audio_entry("mp4a", full_box("esds", (0, 0), ESDS)), "mp4a.40.2"),
        # xHE-AAC (audio object type 42) needs the escape of five ones; the ES descriptor has all its optional parts.
        (
            audio_entry(
                "mp4a",
                full_box(
                    "esds", (0, 0), bytes.fromhex("031f0001e0000002616200000412401500000000000000000000000502f940")
                ),
            ),
            "mp4a.40.42",
        ),
        (audio_entry("mp4a", full_box("esds", (0, 0), bytes.fromhex("0303000100040d6b15"))), "mp4a.6b"),
        (audio_entry("Opus"), "opus"),
        (audio_entry("ac-3"), "ac-3"),
    ],
)
def test_audio_codec_strings_follow_the_descriptors(sample_entry: bytes, expected: str):
    assert codecs.audio_codec(entry(sample_entry)) == expected


@pytest.mark.parametrize(
    "sample_entry", [visual_entry("mp4v"), visual_entry("avc1"), visual_entry("avc1", box("avcC", b"\1"))]
)
def test_a_sample_entry_without_a_codec_string_is_refused(sample_entry: bytes):
    with pytest.raises(OutputInvalid, match=r"init\.mp4"):
        codecs.video_codec(entry(sample_entry))


@pytest.mark.parametrize("sample_entry", [audio_entry("twos"), audio_entry("mp4a", full_box("esds", (0, 0), b"\4\1"))])
def test_a_sound_entry_without_a_codec_string_is_refused(sample_entry: bytes):
    with pytest.raises(OutputInvalid):
        codecs.audio_codec(entry(sample_entry))


@pytest.mark.parametrize(
    ("colour", "expected"),
    [
        ([], Transfer.SDR),
        ([box("colr", b"prof", bytes(6))], Transfer.SDR),
        ([box("colr", b"nclx", bytes.fromhex("00010001000100"))], Transfer.SDR),
        ([box("colr", b"nclx", bytes.fromhex("00090010000900"))], Transfer.PQ),
        ([box("colr", b"nclx", bytes.fromhex("00090012000900"))], Transfer.HLG),
    ],
)
def test_transfer_characteristics_come_from_the_colour_box(colour: list[bytes], expected: Transfer):
    assert codecs.transfer(entry(visual_entry("hvc1", box("hvcC", HVCC), *colour))) is expected


def test_sizes_channels_and_rates_are_read():
    assert codecs.picture_size(entry(visual_entry("avc1", width=1920, height=1080))) == (1920, 1080)
    assert codecs.sound(entry(audio_entry("mp4a", channels=6, rate=44100))) == (6, 44100)


def test_the_length_field_of_nal_units_is_known_where_there_are_nal_units():
    assert codecs.nal_length_bytes(entry(visual_entry("avc1", box("avcC", AVCC)))) == 4
    assert codecs.nal_length_bytes(entry(visual_entry("hvc1", box("hvcC", HVCC)))) == 4
    assert codecs.nal_length_bytes(entry(visual_entry("av01"))) is None
