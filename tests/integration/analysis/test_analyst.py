import os
import threading
from fractions import Fraction
from itertools import pairwise

import cv2
import pytest

from tests.integration.analysis.stream import analyse_bytes, analysed, pictures_of, plan_for, stream_args
from vidcompute.analysis.analyst import Span, analyse
from vidcompute.domain.frames import merge
from vidcompute.domain.job import FrameMode
from vidcompute.errors import OutputInvalid, StorageFull

MILLI = Fraction(1, 1000)


@pytest.fixture
def nut(kitchen, tmp_path):
    """The analysis stream of a three-second clip as bytes."""

    def make(name: str = "plain", *extra: str) -> bytes:
        path = tmp_path / "made.nut"
        args = stream_args(kitchen.clip(name), MILLI, f"file:{path}")
        kitchen.run([*args[:-1], *extra, args[-1]])
        return path.read_bytes()

    return make


@pytest.mark.parametrize(
    "name", ["plain", "silent", "odd", "tiny", "one_frame", "gif", "uneven", "slow", "fast", "before_zero"]
)
def test_every_picture_has_a_row_with_its_own_pts(kitchen, ffmpeg, tmp_path, name):
    time_base, pts = pictures_of(kitchen.clip(name))

    table, anchors = analysed(ffmpeg, kitchen.clip(name), tmp_path)

    assert (table.time_base, table.pts) == (time_base, pts)
    assert anchors[0].index == 0
    assert [anchor.pts for anchor in anchors] == [table.pts[anchor.index] for anchor in anchors]


@pytest.mark.parametrize("mode", list(FrameMode))
def test_every_anchor_has_a_jpeg_of_at_most_640_pixels(kitchen, ffmpeg, tmp_path, mode):
    _, anchors = analysed(ffmpeg, kitchen.clip("plain"), tmp_path, mode=mode)

    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(anchor.jpeg for anchor in anchors)
    for anchor in anchors:
        picture = cv2.imread(str(tmp_path / anchor.jpeg))
        assert anchor.jpeg == f"a_{anchor.pts}.jpg"
        assert picture.shape == (180, 320, 3)


def test_an_anchor_is_told_as_soon_as_the_next_one_is_chosen(nut, tmp_path):
    data, told, reader_writer = nut(), threading.Event(), os.pipe()
    reader, writer = reader_writer
    told_before_the_end = []

    def feed() -> None:
        with os.fdopen(writer, "wb") as pipe:
            pipe.write(data[: len(data) * 2 // 3])
            pipe.flush()
            told_before_the_end.append(told.wait(20))
            pipe.write(data[len(data) * 2 // 3 :])

    feeder = threading.Thread(target=feed)
    feeder.start()
    table = analyse(reader, plan_for(MILLI), tmp_path, emit=lambda _: told.set())
    feeder.join()
    os.close(reader)

    assert told_before_the_end == [True]
    assert len(table.pts) == 90


@pytest.mark.parametrize("data", [b"", b"no stream at all" * 100])
def test_what_is_no_stream_is_refused(data, tmp_path):
    with pytest.raises(OutputInvalid, match=r"cannot be opened|no video"):
        analyse_bytes(data, tmp_path, plan=plan_for(MILLI), emit=lambda _: None)


def test_a_stream_without_pictures_is_refused(nut, tmp_path):
    with pytest.raises(OutputInvalid):
        analyse_bytes(nut()[:600], tmp_path, plan=plan_for(MILLI), emit=lambda _: None)


def test_a_stream_of_other_pictures_is_refused(nut, tmp_path):
    with pytest.raises(OutputInvalid, match="yuv444p 320x180"):
        analyse_bytes(nut("plain", "-pix_fmt", "yuv444p"), tmp_path, plan=plan_for(MILLI), emit=lambda _: None)


def test_a_folder_that_cannot_be_written_is_told(nut, tmp_path):
    data = nut()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a_0.jpg").mkdir()

    with pytest.raises(StorageFull, match=r"a_0\.jpg"):
        analyse_bytes_into(data, tmp_path)


def analyse_bytes_into(data: bytes, tmp_path) -> None:
    path = tmp_path / "stream.nut"
    path.write_bytes(data)
    with path.open("rb") as stream:
        analyse(stream.fileno(), plan_for(MILLI), tmp_path / "full", emit=lambda _: None)


def test_two_halves_with_a_lead_in_make_the_table_of_the_whole(kitchen, ffmpeg, tmp_path):
    clip = tmp_path / "cuts.mp4"
    shots = "color=c={}:s=160x90:r=25:d={}"
    kitchen.run([
        *("-f", "lavfi", "-i", shots.format("red", 1), "-f", "lavfi", "-i", shots.format("blue", 1)),
        *("-f", "lavfi", "-i", shots.format("white", 1)),
        *("-filter_complex", "[0][1][2]concat=n=3", "-c:v", "libx264", "-pix_fmt", "yuv420p", str(clip)),
    ])  # fmt: skip
    whole, anchors = analysed(ffmpeg, clip, tmp_path)
    # The border lies on a cut: only with the frames before it can the second half see that it starts a scene.
    border = whole.pts[25]
    goes_on = whole.pts[40]

    parts = [
        analysed(ffmpeg, clip, tmp_path, span=Span(start, end))
        for start, end in pairwise([None, border, goes_on, None])
    ]

    assert [table.starts_scene for table, _ in parts] == [True, True, False]
    rows, expected = list(merge(parts)), list(merge([(whole, anchors)]))
    assert [(row.pts, row.frame_no, row.scene_no) for row in rows] == [
        (row.pts, row.frame_no, row.scene_no) for row in expected
    ]
    assert [row.scene_no for row in rows] == [0] * 25 + [1] * 25 + [2] * 25
