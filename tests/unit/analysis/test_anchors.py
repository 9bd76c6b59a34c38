from itertools import pairwise

import numpy as np
import pytest

from tests.unit.analysis.drawn import BLACK, TICKS, TIME_BASE, WHITE, frames, grainy, photo, selected, written
from vidcompute.domain.job import FrameMode

SECOND = 1000 // TICKS


def still(seed: int, length: int) -> list:
    return [grainy(photo(seed), seed * 1000 + n) for n in range(length)]


def pan(length: int, *, step: int = 4) -> list:
    wide = np.hstack([photo(seed) for seed in range(8)])
    return [wide[:, n * step : n * step + 320] for n in range(length)]


def anchors_at(stretches) -> list[int]:
    return [stretch.index for stretch in stretches]


def test_one_frame_is_its_own_anchor():
    table, stretches = selected(frames(still(1, 1)))

    assert anchors_at(stretches) == [0]
    assert (table.pts, table.scene, table.anchor, table.similarity) == ((0,), (0,), (0,), (1.0,))


def test_a_still_picture_has_an_anchor_every_ten_seconds():
    _, stretches = selected(frames(still(1, 25 * SECOND)))

    assert anchors_at(stretches) == [0, 10 * SECOND, 20 * SECOND]
    assert all(stretch.frozen(TIME_BASE) for stretch in stretches)


def test_motion_brings_anchors_at_the_highest_pace_and_no_faster():
    _, stretches = selected(frames(pan(4 * SECOND)), per_s=2)

    gaps = {later.frame.pts - earlier.frame.pts for earlier, later in pairwise(stretches)}
    assert gaps == {520}  # the first frame at least half a second later
    assert not any(stretch.frozen(TIME_BASE) for stretch in stretches)


def test_every_new_subtitle_becomes_an_anchor_at_its_first_frame():
    lines = ["Where are you?", "I am here.", "Since when?", "Noon.", "Alone?", "No.", "With whom?", "A friend.", "Ah."]
    clip = [written(luma, line) for line in lines for luma in still(1, 2 * SECOND)]

    _, stretches = selected(frames(clip))

    assert anchors_at(stretches) == [n * 2 * SECOND for n in range(9)]


def test_every_new_score_becomes_an_anchor():
    clip = [written(luma, f"{goals}:0", at=(280, 24)) for goals in range(10) for luma in still(1, SECOND)]

    _, stretches = selected(frames(clip))

    assert anchors_at(stretches) == [n * SECOND for n in range(10)]


def test_every_slide_becomes_an_anchor_and_its_frames_point_at_it():
    clip = [luma for seed in range(4) for luma in still(seed, 3 * SECOND)]

    table, stretches = selected(frames(clip))

    assert anchors_at(stretches) == [0, 75, 150, 225]
    assert list(table.anchor) == [n for n in range(4) for _ in range(75)]
    assert min(table.similarity) > 0.9


def test_a_cut_makes_an_anchor_however_soon_it_comes():
    table, stretches = selected(frames(still(1, 20) + still(2, 9) + still(3, 20)))

    assert anchors_at(stretches) == [0, 20, 29]
    assert table.scene == (0,) * 20 + (1,) * 9 + (2,) * 20


def test_frames_between_two_anchors_go_to_the_one_they_resemble():
    # A subtitle appears 200 ms after the anchor of a cut, too soon for an anchor of its own.
    plain = still(1, 5)
    clip = [*plain, *(written(luma, "Hello there") for luma in still(1, 2 * SECOND))]

    table, stretches = selected(frames(clip))

    assert anchors_at(stretches) == [0, 13]
    assert table.anchor == (0,) * 5 + (1,) * (2 * SECOND)


def test_scrolling_is_followed_and_parted_midway():
    table, stretches = selected(frames(pan(2 * SECOND, step=2)))

    borders = [at for at, (one, other) in enumerate(pairwise(table.anchor), 1) if one != other]
    for border, (earlier, later) in zip(borders, pairwise(stretches), strict=True):
        assert earlier.index < border <= later.index
        assert border - earlier.index == pytest.approx((later.index - earlier.index) / 2, abs=3)


def test_a_flash_stays_in_its_scene_and_is_said_to_be_unlike():
    table, _ = selected(frames([*still(1, 10), WHITE, *still(1, 30)]))

    assert set(table.scene) == {0}
    assert table.similarity[10] < 0.5 < min(table.similarity[:10])


def test_over_a_hole_in_the_time_stamps_the_next_change_is_an_anchor():
    pts = [n * TICKS + (3600_000 if n >= 20 else 0) for n in range(40)]

    table, stretches = selected(frames(still(1, 40), pts=pts))

    assert anchors_at(stretches) == [0, 20]
    assert table.pts == tuple(pts)


def test_mode_every_makes_every_frame_an_anchor():
    table, stretches = selected(frames(pan(30)), mode=FrameMode.EVERY)

    assert anchors_at(stretches) == list(range(30))
    assert set(table.similarity) == {1.0}


def test_mode_fps_keeps_a_grid_that_cuts_do_not_move():
    _, stretches = selected(frames(still(1, 30) + still(2, 45)), mode=FrameMode.FPS, per_s=1)

    assert anchors_at(stretches) == [0, 25, 30, 50]


def test_mode_fps_keeps_its_rate_at_an_uneven_frame_rate():
    pts = [n * 33 for n in range(300)]

    _, stretches = selected(frames(still(1, 300), pts=pts), mode=FrameMode.FPS, per_s=2)

    assert len(stretches) == 20
    assert all(0 <= stretch.frame.pts - n * 500 < 33 for n, stretch in enumerate(stretches))


def test_mode_scene_has_one_anchor_per_scene_past_its_transition():
    table, stretches = selected(frames(still(1, 40) + still(2, 100)), mode=FrameMode.SCENE)

    assert [stretch.scene for stretch in stretches] == [0, 1]
    assert all(stretch.frame.pts - start >= 250 for stretch, start in zip(stretches, (0, 40 * TICKS), strict=True))
    assert table.anchor == (0,) * 40 + (1,) * 100


def test_mode_scene_passes_over_black():
    _, stretches = selected(frames([*still(1, 8), *[BLACK] * 2, *still(1, 60)]), mode=FrameMode.SCENE)

    assert [stretch.index not in {8, 9} for stretch in stretches] == [True]


def test_motion_of_an_anchor_is_that_of_its_stretch_not_of_the_cut_before_it():
    _, stretches = selected(frames(still(1, 30) + still(2, 30)))

    assert max(stretch.motion for stretch in stretches) < 0.02


def test_only_the_first_anchor_of_a_scene_opens_it():
    _, stretches = selected(frames(pan(2 * SECOND) + still(9, 10)))

    assert [stretch.opens_scene for stretch in stretches] == [True, False, False, False, True]
