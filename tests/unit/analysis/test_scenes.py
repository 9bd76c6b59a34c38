from itertools import pairwise

import numpy as np
import pytest

from tests.unit.analysis.drawn import BLACK, WHITE, beginnings, faded, frames, grainy, photo


def shot(seed: int, length: int) -> list:
    return [grainy(photo(seed), seed * 1000 + n) for n in range(length)]


def pan(seed: int, length: int, *, step: int = 4) -> list:
    wide = np.hstack([photo(seed), photo(seed + 1), photo(seed + 2)])
    return [wide[:, n * step : n * step + 320] for n in range(length)]


def test_the_first_frame_begins_a_scene():
    assert beginnings(frames(shot(1, 1))) == [0]


def test_no_frame_begins_no_scene():
    assert beginnings([]) == []


@pytest.mark.parametrize("length", [10, 25, 60])
def test_a_cut_is_found_at_its_first_frame(length):
    assert beginnings(frames(shot(1, length) + shot(2, 20))) == [0, length]


@pytest.mark.parametrize("tail", [1, 2, 3])
def test_a_cut_right_before_the_end_is_found(tail):
    assert beginnings(frames(shot(1, 20) + shot(2, tail))) == [0, 20]


def test_a_pan_is_one_scene():
    assert beginnings(frames(pan(1, 60))) == [0]


def test_a_cut_between_two_pans_is_found():
    assert beginnings(frames(pan(1, 30) + pan(7, 30))) == [0, 30]


@pytest.mark.parametrize("length", [1, 2])
def test_a_flash_within_a_scene_is_no_cut(length):
    assert beginnings(frames(shot(1, 20) + [WHITE] * length + shot(1, 20))) == [0]


def test_a_flash_between_two_scenes_is_one_cut():
    assert beginnings(frames([*shot(1, 20), WHITE, *shot(2, 20)])) == [0, 20]


def test_after_a_fade_through_black_a_scene_begins_with_the_first_picture():
    out = [faded(photo(1), 1 - n / 10) for n in range(1, 11)]
    back = [faded(photo(2), n / 10) for n in range(3, 11)]

    assert beginnings(frames(shot(1, 20) + out + [BLACK] * 10 + back + shot(2, 10))) == [0, 40]


def test_a_black_lead_in_is_a_scene_of_its_own():
    assert beginnings(frames([BLACK] * 25 + shot(1, 20))) == [0, 25]


def test_a_black_clip_is_one_scene():
    assert beginnings(frames([grainy(BLACK, n) for n in range(50)])) == [0]


def test_colour_noise_of_dark_pictures_is_no_cut():
    # In hue and saturation these would differ by 20 and more from frame to frame.
    clip = [frame for n in range(30) for frame in frames([faded(photo(1), 0.08)], pts=[n * 40], chroma_seed=n)]

    assert beginnings(clip) == [0]


def test_scenes_shorter_than_a_third_of_a_second_are_not_told_apart():
    strobe = [grainy(photo(n // 3), n) for n in range(24)]

    starts = beginnings(frames(strobe))

    assert all(later - earlier >= 8 for earlier, later in pairwise(starts))


def test_a_hole_in_the_time_stamps_is_no_cut():
    pts = [n * 40 + (60_000 if n >= 20 else 0) for n in range(40)]

    assert beginnings(frames(shot(1, 40), pts=pts)) == [0]
