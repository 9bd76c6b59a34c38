"""How a picture is shown."""

from __future__ import annotations

from fractions import Fraction

import pytest

from tests.unit.media.sources import video


@pytest.mark.parametrize(
    ("coded", "sar", "rotation", "shown"),
    [
        ((1280, 720), Fraction(1), 0, (1280, 720)),
        ((1280, 720), Fraction(1), 90, (720, 1280)),
        ((720, 576), Fraction(16, 15), 0, (768, 576)),
        ((1440, 1080), Fraction(4, 3), 0, (1920, 1080)),
        ((720, 480), Fraction(8, 9), 0, (720, 540)),
        ((720, 480), Fraction(32, 27), 270, (480, 853)),
    ],
)
def test_display_size_turns_and_squares_without_losing_lines(coded, sar, rotation, shown):
    stream = video(width_px=coded[0], height_px=coded[1], sar=sar, rotation=rotation)

    assert (stream.display_width_px, stream.display_height_px) == shown
