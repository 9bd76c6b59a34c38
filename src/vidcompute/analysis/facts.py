"""What is measured of an anchor. Facts only: nothing here knows what an object is."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np

from vidcompute.analysis.anchors import Stretch
from vidcompute.analysis.colors import Bgr, Palette
from vidcompute.analysis.looks import is_black
from vidcompute.analysis.pictures import Plane
from vidcompute.domain.frames import Facts

#: Limited range (ITU-R BT.601): black, and the distance from it to white.
_BLACK, _SPAN = 16.0, 219.0
#: Widest stroke of a letter in pixels, on each of the three sizes that are looked at.
_STROKE_PX = 11
#: Height of the step from a stroke to its surroundings, 8-bit: subtitles and signs are made to be read.
_STROKE_STEP = 100
#: On a mostly even picture (a screen, a slide) small grey print counts too: there is no texture to mistake for it.
_EVEN_STEP, _EVEN_SHARE, _EVEN_GRADIENT = 50, 0.8, 6
#: Window whose share of strokes is taken: a short word of the smallest readable size.
_WORD_PX = (24, 8)
_TEXT_SCALES = 3


def measure(stretch: Stretch, picture: Bgr, *, palette: Palette, time_base: Fraction) -> Facts:
    """The facts of a finished stretch; `picture` is its anchor in BGR. About 4 ms for 640x360."""
    luma = stretch.frame.picture.luma
    mean, deviation = (float(value[0, 0]) for value in cv2.meanStdDev(luma))
    return Facts(
        colors=palette.shares(picture),
        brightness=round(_unit((mean - _BLACK) / _SPAN), 3),
        contrast=round(min(0.5, deviation / _SPAN), 3),
        sharpness=round(sharpness(luma), 1),
        motion=round(_unit(stretch.motion), 4),
        black=is_black(stretch.frame.look),
        frozen=stretch.frozen(time_base),
        text_likelihood=round(text_likelihood(luma), 2),
    )


def sharpness(luma: Plane) -> float:
    """Variance of the Laplacian, on the 8-bit scale."""
    return float(cv2.Laplacian(luma, cv2.CV_32F).var())


def text_likelihood(luma: Plane) -> float:
    """How much the picture looks as if it held text, 0 to 1: the densest word-sized window of strokes.

    A stroke is a thin run across the line that is much brighter or darker than both its sides; letters put bright and
    dark ones side by side. At 0.5 it finds 96 % of the frames in which the reader finds a word (natural,
    animated and screen clips; with subtitles drawn in: 98 %) and fires on 23 % of those without.
    """
    densest, scaled = 0.0, luma
    step = _EVEN_STEP if _is_even(luma) else _STROKE_STEP
    for _ in range(_TEXT_SCALES):
        densest = max(densest, _stroke_density(scaled, step))
        height, width = scaled.shape
        if min(height, width) < 2 * _WORD_PX[1]:
            break
        # Halved, the same strokes find letters of twice the size: a title card's are 100 pixels high.
        scaled = np.asarray(cv2.resize(scaled, (width // 2, height // 2), interpolation=cv2.INTER_AREA), np.uint8)
    return _unit(densest)


def _is_even(luma: Plane) -> bool:
    gradient = cv2.morphologyEx(luma, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    return bool(np.count_nonzero(np.asarray(gradient) <= _EVEN_GRADIENT) >= _EVEN_SHARE * luma.size)


def _stroke_density(luma: Plane, step: int) -> float:
    across, beside = np.ones((1, _STROKE_PX), np.uint8), np.ones((3, 5), np.uint8)
    bright = cv2.dilate(cv2.morphologyEx(luma, cv2.MORPH_TOPHAT, across), beside)
    dark = cv2.dilate(cv2.morphologyEx(luma, cv2.MORPH_BLACKHAT, across), beside)
    _, strokes = cv2.threshold(cv2.min(bright, dark), step - 1, 255, cv2.THRESH_BINARY)
    # Beyond the edge there are no strokes: half a word at the edge counts half.
    return float(np.max(cv2.blur(strokes, _WORD_PX, borderType=cv2.BORDER_CONSTANT))) / 255


def _unit(value: float) -> float:
    return min(1.0, max(0.0, value))
