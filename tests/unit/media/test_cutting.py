from pathlib import Path

import pytest

from tests.unit.media.synthetic import (
    IDR_SAMPLE,
    NON_SYNC,
    SYNC,
    TICKS,
    audio_init,
    audio_plan,
    chunk,
    fragment,
    init,
    plan_for,
    sound,
    visual_entry,
    write,
)
from vidcompute.errors import OutputInvalid
from vidcompute.media.boxes import box, extents, full_box
from vidcompute.media.cutting import cut_audio, cut_video
from vidcompute.media.fragments import read_fragments
from vidcompute.media.tracks import read_head


def cut(tmp_path: Path, plan, *chunks: bytes):
    paths = [write(tmp_path / f"c{index}.mp4", data) for index, data in enumerate(chunks)]
    return cut_video(plan, plan.renditions[0], chunks=paths, out=tmp_path)


def test_segments_lie_on_the_grid_whatever_the_chunks(tmp_path: Path):
    one = cut(tmp_path, plan_for(200), chunk(200))
    three = cut(
        tmp_path, plan_for(200, chunk_starts=[0, 60, 150]), chunk(60), chunk(90, start=60), chunk(50, start=150)
    )

    assert [(part.uri, part.start, part.duration, part.samples) for part in one.segments] == [
        ("v0_00000.m4s", 0, 90 * TICKS, 90),
        ("v0_00001.m4s", 90 * TICKS, 90 * TICKS, 90),
        ("v0_00002.m4s", 180 * TICKS, 20 * TICKS, 20),
    ]
    assert three.segments == one.segments
    assert three.init == one.init


def test_a_segment_is_a_styp_and_the_fragments_with_growing_numbers(tmp_path: Path):
    plan = plan_for(180, chunk_starts=[0, 90])
    result = cut(tmp_path, plan, chunk(90), chunk(90, start=90))

    sequences = []
    for part in result.segments:
        with (tmp_path / part.uri).open("rb") as file:
            assert [extent.kind for extent in extents(file, where="s")] == ["styp"] + ["moof", "mdat"] * 3
            sequences += [piece.sequence for piece in read_fragments(file, result.track, where="s")]
    assert sequences == [1, 2, 3, 4, 5, 6]


def test_extra_keyframes_inside_a_segment_change_nothing_of_the_grid(tmp_path: Path):
    parts = [init()] + [fragment(tfdt=first * TICKS, samples=n) for first, n in [(0, 30), (30, 7), (37, 23), (60, 30)]]

    result = cut(tmp_path, plan_for(90), b"".join(parts))

    assert [part.samples for part in result.segments] == [90]


def test_one_picture_is_enough(tmp_path: Path):
    result = cut(tmp_path, plan_for(1), chunk(1))

    assert [(part.duration, part.samples) for part in result.segments] == [(TICKS, 1)]


@pytest.mark.parametrize("last", [b"", init()])
def test_trailing_chunks_may_be_short_or_empty(tmp_path: Path, last: bytes):
    plan = plan_for(180, chunk_starts=[0, 90, 150])

    result = cut(tmp_path, plan, chunk(90), chunk(10, start=90), last)

    assert result.samples == 100


OTHER_INIT = init(entries=[visual_entry("avc1", box("avcC", b"\1\x64\0\x0d\xff"))])
LATE = init() + fragment(tfdt=TICKS, samples=30)
OPEN = init() + fragment(tfdt=0, samples=30, first_flags=NON_SYNC)
LONG_GOP = init() + fragment(tfdt=0, samples=100)
SLOW = init() + fragment(tfdt=0, samples=30, ticks=TICKS * 2)
GAP = init() + fragment(tfdt=0, samples=30) + fragment(tfdt=60 * TICKS, samples=30)
HEVC = init(entries=[visual_entry("hvc1", box("hvcC", bytes(23)))])
SMALL = init(entries=[visual_entry("avc1", box("avcC", b"\1\x64\0\x0d\xff"), width=160, height=90)])


@pytest.mark.parametrize(
    ("chunks", "says"),
    [
        ([chunk(90), chunk(90, start=90, head=OTHER_INIT)], "rendition v0, chunk 1: its initialization segment"),
        ([chunk(60), chunk(90, start=90)], "rendition v0, chunk 0: ended before picture 60, but picture 90 comes"),
        ([b"", chunk(90, start=90)], "rendition v0, chunk 1: ended before picture 0"),
        ([chunk(120), chunk(90, start=90)], "rendition v0, chunk 0: ended before picture 120"),
        ([GAP, chunk(90, start=90)], "chunk 0, fragment at byte .*: decode time 30030 expected, 60060 found"),
        ([LATE, b""], "picture 0 should show at 0.000000 s, shows at 0.033367 s"),
        ([OPEN, b""], "picture 0 is not a keyframe"),
        ([LONG_GOP, b""], "picture 90 begins a segment and is not a keyframe"),
        ([SLOW, b""], "a picture lasts other than 1001 ticks"),
        ([chunk(30, head=HEVC), b""], "h264 was planned, hvc1"),
        ([chunk(30, head=SMALL), b""], "320×180 pixels planned, 160×90 found"),
        ([chunk(30, head=audio_init()), b""], "h264 was planned, mp4a"),
        ([chunk(30, head=init(timescale=1000)), b""], "a timescale of 1000 cannot hold 30000/1001"),
        ([b"", b""], "rendition v0: the encoder produced no picture"),
        ([chunk(90)], "rendition v0: 2 chunks planned, 1 given"),
    ],
)
def test_chunks_that_are_not_what_was_planned_are_refused_by_name(tmp_path: Path, chunks: list[bytes], says: str):
    plan = plan_for(180, chunk_starts=[0, 90])

    with pytest.raises(OutputInvalid, match=says):
        cut(tmp_path, plan, *chunks)


def audio_of(tmp_path: Path, data: bytes, *, frames: int, video_segments: int):
    plan = plan_for(frames, audio=[audio_plan()])
    source = write(tmp_path / "a.mp4", data)
    return cut_audio(plan, plan.audio[0], source=source, video_segments=video_segments, out=tmp_path)


def packets_in(path: Path) -> list[int]:
    """The numbers that synthetic.sound put into the packets."""
    with (path.parent / "a0_init.mp4").open("rb") as file:
        head = read_head(file, where="a0")
    assert head is not None
    numbers = []
    with path.open("rb") as file:
        for piece in read_fragments(file, head.track, where=path.name):
            file.seek(piece.mdat.body_offset)
            data = file.read(sum(piece.samples.sizes))
            numbers += [int.from_bytes(data[at : at + 4]) for at in range(0, len(data), 4)]
    return numbers


def test_sound_is_cut_at_the_packet_nearest_to_each_picture_boundary(tmp_path: Path):
    # Segments of 90 pictures last 3.003 s, that is 144144 ticks; one packet of priming is not presented.
    result = audio_of(tmp_path, sound(400), frames=250, video_segments=3)

    assert result is not None
    starts = [part.start for part in result.segments]
    assert starts == [0, 141 * 1024, 282 * 1024]
    assert all(abs(start - k * 144144) <= 512 for k, start in enumerate(starts))
    packets = [number for part in result.segments for number in packets_in(tmp_path / part.uri)]
    assert packets == list(range(400))
    assert result.segments[0].duration == 141 * 1024  # the packet of priming is decoded, not presented


def test_sound_that_ends_with_the_picture_has_no_segment_for_its_last_bits(tmp_path: Path):
    # 180 pictures are 6.006 s; 284 packets less priming end at 6.037 s.
    result = audio_of(tmp_path, sound(284), frames=180, video_segments=2)

    assert result is not None
    assert len(result.segments) == 2


def test_sound_that_goes_on_has_segments_on_the_same_grid(tmp_path: Path):
    result = audio_of(tmp_path, sound(600), frames=180, video_segments=2)

    assert result is not None
    assert [part.start for part in result.segments] == [0, 141 * 1024, 282 * 1024, 422 * 1024, 563 * 1024]


def test_sound_shorter_than_the_picture_has_fewer_segments(tmp_path: Path):
    result = audio_of(tmp_path, sound(100), frames=250, video_segments=3)

    assert result is not None
    assert [part.samples for part in result.segments] == [100]


@pytest.mark.parametrize("data", [b"", audio_init()])
def test_a_sound_file_that_holds_nothing_gives_no_rendition(tmp_path: Path, data: bytes):
    assert audio_of(tmp_path, data, frames=30, video_segments=1) is None


def test_a_last_packet_of_another_length_keeps_it(tmp_path: Path):
    data = sound(4) + fragment(tfdt=4 * 1024, samples=1, ticks=500, sample=b"aac!")

    result = audio_of(tmp_path, data, frames=30, video_segments=1)

    assert result is not None
    assert result.segments[0].duration == 3 * 1024 + 500


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (
            sound(5) + fragment(tfdt=9999, samples=1, ticks=1024, sample=b"aac!"),
            "starts at tick 9999, 5120 was expected",
        ),
        (chunk(30), "audio a0: sound was planned, avc1"),
    ],
)
def test_sound_with_a_hole_and_pictures_for_sound_are_refused(tmp_path: Path, data: bytes, says: str):
    with pytest.raises(OutputInvalid, match=says):
        audio_of(tmp_path, data, frames=30, video_segments=1)


def test_an_input_that_ends_inside_its_data_is_refused(tmp_path: Path):
    data = chunk(30)

    with pytest.raises(OutputInvalid, match="v0, chunk 0"):
        cut(tmp_path, plan_for(30), data[:-1])


def reordered(*offsets: int) -> bytes:
    """A fragment of pictures whose composition and decode times differ by `offsets`."""
    rows = b"".join(TICKS.to_bytes(4) + (6).to_bytes(4) + offset.to_bytes(4, signed=True) for offset in offsets)
    tfhd = full_box("tfhd", (0, 0x020000), (1).to_bytes(4))

    def moof(data_offset: int) -> bytes:
        fixed = len(offsets).to_bytes(4) + data_offset.to_bytes(4) + SYNC.to_bytes(4)
        traf = box("traf", tfhd, full_box("tfdt", (1, 0), bytes(8)), full_box("trun", (1, 0xB05), fixed, rows))
        return box("moof", full_box("mfhd", (0, 0), (1).to_bytes(4)), traf)

    return moof(len(moof(0)) + 8) + box("mdat", IDR_SAMPLE * len(offsets))


def test_reordered_pictures_with_an_edit_list_stay_as_they_are(tmp_path: Path):
    head = init(media_times=[2 * TICKS])

    result = cut(tmp_path, plan_for(4), head + reordered(2 * TICKS, 4 * TICKS, TICKS, TICKS))

    assert [(part.start, part.samples) for part in result.segments] == [(0, 4)]
    assert (tmp_path / "v0_init.mp4").read_bytes() == head


def test_negative_composition_offsets_become_an_edit_list(tmp_path: Path):
    result = cut(tmp_path, plan_for(4), init() + reordered(0, 2 * TICKS, -TICKS, -TICKS))

    with (tmp_path / "v0_init.mp4").open("rb") as file:
        head = read_head(file, where="v0")
    with (tmp_path / "v0_00000.m4s").open("rb") as file:
        (found,) = read_fragments(file, result.track, where="v0")
    assert head is not None
    assert head.track.shift == result.track.shift == TICKS
    assert list(found.samples.offsets) == [TICKS, 3 * TICKS, 0, 0]
    assert found.starts_sync
    assert [(part.start, part.duration) for part in result.segments] == [(0, 4 * TICKS)]


def test_negative_composition_offsets_beside_an_edit_list_are_refused(tmp_path: Path):
    with pytest.raises(OutputInvalid, match="rendition v0: has an edit list and negative composition offsets"):
        cut(tmp_path, plan_for(3), init(media_times=[TICKS]) + reordered(3 * TICKS, TICKS, -TICKS))


def test_a_composition_offset_that_no_decoder_could_hold_is_refused(tmp_path: Path):
    with pytest.raises(OutputInvalid, match="shows a picture more than 32 pictures from its decoding"):
        cut(tmp_path, plan_for(2), init() + reordered(0, 2**31 - 1))
