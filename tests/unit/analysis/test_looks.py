import numpy as np
import pytest

from tests.unit.analysis.drawn import BLACK, WHITE, frames, grainy, photo, written
from vidcompute.analysis.looks import Lens, is_black, likeness, motion, novelty


def looks(*lumas):
    return [frame.look for frame in frames(lumas)]


def test_a_picture_is_like_itself():
    one, same = looks(photo(1), photo(1))

    assert likeness(one.y, same.y) == 1.0
    assert novelty(one, same) == 0.0


def test_nothing_is_alike_between_black_and_white():
    black, white = looks(BLACK, WHITE)

    assert likeness(black.y, white.y) == 0.0


def test_noise_is_not_novel():
    one, other = looks(grainy(photo(1), 1, sigma=6), grainy(photo(1), 2, sigma=6))

    assert novelty(one, other) < 12
    assert likeness(one.y, other.y) > 0.9


@pytest.mark.parametrize("text", ["Hi", "Where are you?", "2:1"])
def test_a_few_letters_are_novel(text):
    without, with_text = looks(grainy(photo(1), 1), grainy(written(photo(1), text), 2))

    assert novelty(without, with_text) > 24


@pytest.mark.parametrize("step", range(9))
def test_another_digit_of_a_score_is_novel(step):
    before, after = looks(
        written(photo(1), str(step), at=(280, 24), scale=0.6), written(photo(1), str(step + 1), at=(280, 24), scale=0.6)
    )

    assert novelty(before, after) > 12


def test_the_nearer_picture_is_the_more_alike():
    one, near, far = looks(photo(1), (photo(1) * 0.8 + photo(2) * 0.2).astype(np.uint8), photo(2))

    assert 0 < likeness(one.y, far.y) < likeness(one.y, near.y) < 1


def test_motion_is_the_mean_difference():
    one, other = looks(np.full((180, 320), 100, np.uint8), np.full((180, 320), 151, np.uint8))

    assert motion(one, other) == pytest.approx(51 / 255)


def test_black_is_black_with_its_noise_but_not_with_a_title_or_a_light():
    title, light = written(BLACK, "fin"), BLACK.copy()
    light[80:88, 100:108] = 220

    verdicts = [is_black(look) for look in looks(BLACK, grainy(BLACK, 1), title, light, photo(1))]

    assert verdicts == [True, True, False, False, False]


@pytest.mark.parametrize(
    ("size", "grey", "small"),
    [
        ((640, 360), (320, 180), (160, 90)),
        ((360, 640), (180, 320), (90, 160)),
        ((64, 48), (64, 48), (64, 48)),
        ((640, 2), (320, 1), (160, 1)),
        ((1, 1), (1, 1), (1, 1)),
    ],
)
def test_small_pictures_keep_their_aspect_and_are_never_enlarged(size, grey, small):
    lens = Lens.fitting(*size)

    assert (lens.grey_size, lens.small_size) == (grey, small)


def test_pictures_of_a_single_pixel_can_be_compared():
    dark, bright = looks(np.full((1, 1), 16, np.uint8), np.full((1, 1), 235, np.uint8))

    assert novelty(dark, bright) == 219
