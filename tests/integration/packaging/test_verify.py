from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from tests.integration.packaging.encoded import Encoded, encode, encode_sound
from tests.unit.media.synthetic import RATE, audio_plan
from vidcompute.errors import OutputInvalid
from vidcompute.media.verify import verify

Rewrite = Callable[[str, str, str], None]


def test_a_good_result_holds_and_is_measured(published: Path, three_chunks: Encoded):
    found = verify(published, three_chunks.plan)

    assert found.warnings == ()
    assert (found.frames, found.duration) == (200, 200 / RATE)
    assert [(rung.name, rung.width_px, rung.height_px) for rung in found.renditions] == [
        ("v0", 128, 72),
        ("v1", 64, 36),
    ]
    assert found.size_bytes == sum(path.stat().st_size for path in published.glob("*.m[p4]*") if path.suffix != ".mpd")


def remove_segment(out: Path) -> None:
    (out / "v0_00001.m4s").unlink()


def empty_segment(out: Path) -> None:
    (out / "v0_00001.m4s").write_bytes(b"")


def cut_segment(out: Path) -> None:
    data = (out / "v0_00001.m4s").read_bytes()
    (out / "v0_00001.m4s").write_bytes(data[:-100])


def swap_segments(out: Path) -> None:
    first, second = (out / "v1_00000.m4s").read_bytes(), (out / "v1_00001.m4s").read_bytes()
    (out / "v1_00000.m4s").write_bytes(second)
    (out / "v1_00001.m4s").write_bytes(first)


def flip_one_bit(out: Path) -> None:
    data = bytearray((out / "a1_00000.m4s").read_bytes())
    data[-1] ^= 1
    (out / "a1_00000.m4s").write_bytes(bytes(data))


def take_another_init(out: Path) -> None:
    (out / "v1_init.mp4").write_bytes((out / "v0_init.mp4").read_bytes())


def lose_the_init(out: Path) -> None:
    (out / "a0_init.mp4").write_bytes(b"\0\0\0\x08free")


def leave_a_stray(out: Path) -> None:
    (out / "v0_00009.m4s").write_bytes(b"old")


def lose_the_manifest(out: Path) -> None:
    (out / "manifest.json").unlink()


def lose_a_playlist(out: Path) -> None:
    (out / "v0.m3u8").unlink()


def drop_the_styp(out: Path) -> None:
    path = out / "v0_00000.m4s"
    path.write_bytes(path.read_bytes()[24:])


def lose_the_keyframe(out: Path) -> None:
    """The flag stays, the picture is of another kind: the first slice of the segment is no longer an IDR slice."""
    path = out / "v0_00001.m4s"
    data = path.read_bytes()
    at = data.index(b"mdat") + 4
    while data[at + 4] & 0x1F != 5:
        at += 4 + int.from_bytes(data[at : at + 4])
    path.write_bytes(data[: at + 4] + bytes([data[at + 4] & 0xE0 | 1]) + data[at + 5 :])


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (remove_segment, "v0_00001.m4s: is named in a playlist and cannot be read"),
        (empty_segment, "v0_00001.m4s: is empty"),
        (cut_segment, "v0_00001.m4s: the 'mdat' box"),
        (swap_segments, "v1_00001.m4s: decode time"),
        (flip_one_bit, "manifest.json: it says .*a1_00000"),
        (take_another_init, "rendition v1: 128×72 pixels found"),
        (lose_the_init, "a0_init.mp4: holds no moov"),
        (leave_a_stray, "v0_00009.m4s: is named in no playlist"),
        (lose_the_manifest, "manifest.json: cannot be read"),
        (lose_a_playlist, "v0.m3u8: cannot be read"),
        (drop_the_styp, "v0_00000.m4s: a segment begins with a styp box"),
        (lose_the_keyframe, "v0_00001.m4s: starts with a slice of type 1, which is no IDR picture"),
    ],
)
def test_a_damaged_result_is_refused_and_the_file_named(
    published: Path, three_chunks: Encoded, damage: Callable[[Path], None], says: str
):
    damage(published)

    with pytest.raises(OutputInvalid, match=says):
        verify(published, three_chunks.plan)


@pytest.mark.parametrize(
    ("name", "old", "new", "says"),
    [
        ("v0.m3u8", "#EXTINF:2.002000,\nv0_00001.m4s\n", "", "v0_00002.m4s: decode time 60060 expected, 120120 found"),
        ("v0.m3u8", "#EXTINF:0.667", "#EXTINF:0.767", "v0_00003.m4s: lasts 0.667333 s, its EXTINF says 0.767333 s"),
        ("a0.m3u8", "TARGETDURATION:2", "TARGETDURATION:1", "a0.m3u8: .*over the target of 1 s"),
        ("master.m3u8", "LANGUAGE", "LANG", "master.m3u8: .*has no LANGUAGE"),
        ("master.m3u8", "v1.m3u8", "v0.m3u8", "planned rendition v1 is not in it"),
        ("manifest.mpd", 't="0" d="60060"', 't="0" d="60061"', "manifest.mpd, v0: it says"),
        ("manifest.mpd", 'codecs="avc1', 'codecs="avc3', "manifest.mpd, v0: it says"),
        ("manifest.mpd", 'id="v1"', 'id="v7"', "rendition v1 is not in it"),
        ("manifest.mpd", "v0_init", "v1_init", "manifest.mpd, v0: it says v1_init.mp4"),
        ("manifest.json", '"timescale": 30000', '"timescale": 30001', "manifest.json, v0: it says"),
        ("manifest.json", '"samples": 60', '"samples": 61', "manifest.json: it says"),
        ("manifest.json", '"a1.m3u8"', '"a2.m3u8"', "name different renditions"),
        ("manifest.json", '"version": 1,', "", "manifest.json: cannot be read"),
    ],
)
def test_descriptions_that_disagree_with_the_files_are_refused(
    published: Path, three_chunks: Encoded, rewrite: Rewrite, name: str, old: str, new: str, says: str
):
    rewrite(name, old, new)

    with pytest.raises(OutputInvalid, match=says):
        verify(published, three_chunks.plan)


def test_a_source_that_ended_early_is_a_warning(published: Path, three_chunks: Encoded):
    planned = replace(three_chunks.plan, output_frames=600, duration=600 / RATE)

    (warning,) = [remark for remark in verify(published, planned).warnings if remark.code == "partial"]

    assert "200 of 600 pictures (6.7 of 20.0 s)" in warning.detail


def test_a_source_longer_than_its_index_is_a_warning(published: Path, three_chunks: Encoded):
    planned = replace(three_chunks.plan, output_frames=100, duration=100 / RATE)

    assert [remark.code for remark in verify(published, planned).warnings] == ["longer_than_planned"]


@pytest.mark.parametrize("seconds", [Fraction(49, 100), Fraction(-49, 100)])
def test_half_a_second_more_or_less_is_within_tolerance(published: Path, three_chunks: Encoded, seconds: Fraction):
    planned = replace(three_chunks.plan, output_frames=210, duration=200 / RATE + seconds)

    assert verify(published, planned).warnings == ()


def test_sound_that_is_not_there_is_a_warning(published: Path, three_chunks: Encoded):
    planned = replace(three_chunks.plan, audio=(*three_chunks.plan.audio, audio_plan("a2", language="fra")))

    (warning,) = verify(published, planned).warnings

    assert warning.code == "audio_missing"
    assert "a2 (fra)" in warning.detail


@pytest.mark.parametrize(("seconds", "code"), [(2.0, "audio_shorter"), (6.0, "audio_longer")])
def test_sound_much_shorter_or_longer_than_the_picture_is_a_warning(tmp_path: Path, seconds: float, code: str):
    encoded = encode(tmp_path, frames=120, audio=[audio_plan()])
    encode_sound(tmp_path / "a0.mp4", seconds=seconds)
    encoded.package(tmp_path / "out")

    found = verify(tmp_path / "out", encoded.plan)

    assert [remark.code for remark in found.warnings] == [code]


def test_a_picture_on_another_grid_than_planned_is_refused(published: Path, three_chunks: Encoded):
    planned = replace(three_chunks.plan, segment_frames=90)

    with pytest.raises(OutputInvalid, match=r"v0_00000\.m4s: 90 pictures planned for a segment, 60 found"):
        verify(published, planned)
