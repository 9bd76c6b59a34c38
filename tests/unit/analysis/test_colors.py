"""Colours come out as what went in, whatever matrix they were coded by."""

import numpy as np
import pytest

from vidcompute.analysis.colors import Palette, bgr

#: Limited-range Y, Cb, Cr of pure colours by each matrix (ITU-R BT.601-7 and BT.709-6, rounded).
CODED = {
    ("smpte170m", "red"): (81, 90, 240),
    ("smpte170m", "blue"): (41, 240, 110),
    ("bt709", "red"): (63, 102, 240),
    ("bt709", "blue"): (32, 240, 118),
    ("bt709", "lime"): (173, 42, 26),
    ("smpte170m", "white"): (235, 128, 128),
}


@pytest.mark.parametrize(("matrix", "name"), CODED, ids=lambda part: part)
def test_a_pure_colour_keeps_its_name(matrix: str, name: str):
    luma, cb, cr = CODED[matrix, name]
    planes = np.full((36, 64), luma, np.uint8), np.full((18, 32), cb, np.uint8), np.full((18, 32), cr, np.uint8)

    shares = Palette().shares(bgr(*planes, matrix=matrix))

    assert shares == ((name, 1.0),)


def test_a_picture_of_one_row_is_grey():
    planes = np.full((1, 5), 128, np.uint8), np.full((1, 3), 128, np.uint8), np.full((1, 3), 128, np.uint8)

    assert bgr(*planes).shape == (1, 5, 3)
