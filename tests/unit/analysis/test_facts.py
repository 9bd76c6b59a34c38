import cv2
import numpy as np
import pytest

from tests.unit.analysis.drawn import BLACK, TIME_BASE, WHITE, grainy, photo, selected, written
from tests.unit.analysis.drawn import frames as drawn_frames
from vidcompute.analysis.colors import Palette, bgr
from vidcompute.analysis.facts import measure, sharpness, text_likelihood


def facts_of(*lumas):
    _, (stretch, *_) = selected(drawn_frames(lumas))
    picture = stretch.frame.picture
    return measure(stretch, bgr(picture.luma, picture.cb, picture.cr), palette=Palette(), time_base=TIME_BASE)


def plain(red: int, green: int, blue: int, *, height: int = 40, width: int = 60) -> np.ndarray:
    return np.full((height, width, 3), (blue, green, red), np.uint8)


@pytest.mark.parametrize(
    ("rgb", "name"),
    [
        ((0, 0, 0), "black"),
        ((255, 255, 255), "white"),
        ((128, 128, 128), "gray"),
        ((220, 20, 30), "crimson"),
        ((250, 10, 10), "red"),
        ((10, 10, 120), "navy"),
        ((120, 190, 235), "skyblue"),
        ((10, 132, 10), "green"),
        ((250, 220, 20), "gold"),
    ],
)
def test_a_plain_picture_is_called_by_its_colour(rgb, name):
    assert Palette().shares(plain(*rgb)) == ((name, 1.0),)


def test_colours_come_with_their_share_largest_first():
    picture = np.hstack([plain(0, 0, 0, width=60), plain(250, 10, 10, width=30), plain(255, 255, 255, width=3)])

    assert Palette().shares(picture) == (("black", 0.65), ("red", 0.32))


def test_a_picture_of_many_colours_still_has_a_name():
    noise = np.random.default_rng(1).integers(0, 256, (90, 160, 3)).astype(np.uint8)

    shares = Palette().shares(noise)

    assert 1 <= len(shares) <= 4


@pytest.mark.parametrize("shape", [(180, 320), (181, 321), (2, 2), (1, 1), (1, 9)])
def test_a_picture_of_any_size_becomes_bgr(shape):
    half = (shape[0] + 1) // 2, (shape[1] + 1) // 2
    neutral = np.full(half, 128, np.uint8)

    picture = bgr(np.full(shape, 235, np.uint8), neutral, neutral)

    assert picture.shape[0] in {shape[0], shape[0] - 1}
    assert picture.min() >= 235


def test_brightness_and_contrast_span_black_to_white():
    halves = np.hstack([BLACK[:, :160], WHITE[:, :160]])

    assert (facts_of(BLACK).brightness, facts_of(WHITE).brightness) == (0.0, 1.0)
    assert (facts_of(WHITE).contrast, facts_of(halves).contrast) == (0.0, 0.5)


def test_blur_lowers_sharpness():
    grain = grainy(photo(1), 1, sigma=20)

    assert sharpness(cv2.blur(grain, (5, 5))) < sharpness(grain) / 10


def test_a_still_stretch_is_frozen_and_has_no_motion():
    facts = facts_of(*[photo(1)] * 20)

    assert (facts.frozen, facts.motion, facts.black) == (True, 0.0, False)


def test_a_stretch_of_less_than_half_a_second_is_not_called_frozen():
    assert not facts_of(*[photo(1)] * 5).frozen


def test_black_is_a_fact():
    assert facts_of(BLACK).black


@pytest.mark.parametrize(
    ("text", "scale"), [("EXIT 12", 0.5), ("Where are you going?", 0.6), ("Chapter 3", 1.2), ("THE END", 2.0)]
)
def test_letters_look_like_text(text, scale):
    assert text_likelihood(written(photo(3), text, at=(10, 120), scale=scale)) >= 0.5


@pytest.mark.parametrize(
    "luma", [BLACK, WHITE, photo(1), grainy(photo(2), 1, sigma=8)], ids=["black", "white", "soft", "noisy"]
)
def test_soft_and_noisy_pictures_do_not_look_like_text(luma):
    assert text_likelihood(luma) < 0.3


def test_likelihood_of_a_tiny_picture_is_defined():
    assert text_likelihood(np.full((1, 1), 100, np.uint8)) == 0.0
