from fractions import Fraction

from vidcompute.domain.frames import Anchor, Facts, FrameRow, FrameTable, merge

FACTS = Facts((("black", 1.0),), 0.0, 0.0, 0.0, 0.0, black=True, frozen=False, text_likelihood=0.0)


def chunk(pts, scene, anchor, anchor_pts, *, starts_scene):
    frames = FrameTable(
        Fraction(1, 25), tuple(pts), tuple(scene), tuple(anchor), (1.0,) * len(pts), starts_scene=starts_scene
    )
    return frames, [Anchor(at, index, 0, FACTS, f"a_{at}.jpg") for index, at in enumerate(anchor_pts)]


def test_frames_and_scenes_are_numbered_over_the_chunks():
    first = chunk([0, 1, 2, 3], [0, 0, 1, 1], [0, 0, 1, 1], [0, 2], starts_scene=True)
    goes_on = chunk([4, 5], [0, 1], [0, 1], [4, 5], starts_scene=False)
    cut = chunk([6], [0], [0], [6], starts_scene=True)

    rows = list(merge([first, goes_on, cut]))

    assert [row.frame_no for row in rows] == [0, 1, 2, 3, 4, 5, 6]
    assert [row.scene_no for row in rows] == [0, 0, 1, 1, 1, 2, 3]
    assert [row.anchor_pts for row in rows] == [0, 0, 2, 2, 4, 5, 6]


def test_frames_that_two_chunks_tell_of_count_once():
    first = chunk([0, 1, 2], [0, 0, 0], [0, 0, 0], [0], starts_scene=True)
    overlapping = chunk([1, 2, 3, 4], [0, 0, 0, 1], [0, 0, 1, 2], [1, 3, 4], starts_scene=False)

    rows = list(merge([first, overlapping]))

    assert [(row.pts, row.frame_no, row.scene_no) for row in rows] == [
        (0, 0, 0), (1, 1, 0), (2, 2, 0), (3, 3, 0), (4, 4, 1),
    ]  # fmt: skip


def test_a_cut_at_the_first_frame_after_the_overlap_is_kept():
    first = chunk([0, 1], [0, 0], [0, 0], [0], starts_scene=True)
    overlapping = chunk([1, 2], [0, 1], [0, 1], [1, 2], starts_scene=False)

    assert [row.scene_no for row in merge([first, overlapping])] == [0, 0, 1]


def test_a_video_whose_first_chunk_says_that_it_goes_on_still_starts_with_scene_0():
    alone = chunk([5], [0], [0], [5], starts_scene=False)

    assert list(merge([alone])) == [FrameRow(5, 0, 0, 5, 1.0)]


def test_no_chunks_have_no_frames():
    assert list(merge([])) == []
