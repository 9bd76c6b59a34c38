"""How alike two pictures look: small versions of a picture and the measures between them.

Perceptual hashes are no measure here: they take a new subtitle or another score for the same picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from vidcompute.analysis.pictures import Picture, Plane

#: Long side of the picture that novelty is judged on, and of the one that is kept of every frame.
_GREY_PX, _SMALL_PX = 320, 160
#: Side of a block: small enough that one changed digit fills one, large enough that noise averages out.
_BLOCK_PX = 5
#: Luma (limited range) up to which a pixel counts as black: 10 % of the range, ffmpeg blackdetect's default.
_BLACK_LUMA = 38
_BLACK_SHARE = 0.98
#: Nothing may be brighter than this, or it is a title on black, which is a picture.
_BLACK_PEAK = 70
#: Mean difference, and difference of the worst block, at which nothing is alike any more (8-bit steps).
_FAR_MEAN, _FAR_BLOCK = 64.0, 192.0


@dataclass(frozen=True, slots=True)
class Look:
    """One picture, smaller: `grey` is luma with a long side of at most 320, `y`, `cb`, `cr` share one of 160."""

    grey: Plane
    y: Plane
    cb: Plane
    cr: Plane


@dataclass(frozen=True, slots=True)
class Lens:
    """The small sizes (width, height) that fit pictures of one size; nothing is ever enlarged."""

    grey_size: tuple[int, int]
    small_size: tuple[int, int]

    @staticmethod
    def fitting(width_px: int, height_px: int) -> Lens:
        """The lens for pictures of this size."""
        return Lens(_within(width_px, height_px, _GREY_PX), _within(width_px, height_px, _SMALL_PX))

    def look(self, picture: Picture) -> Look:
        """The small versions of one picture: about 40 µs for 640x360."""
        grey = _resized(picture.luma, self.grey_size)
        return Look(
            grey,
            _resized(grey, self.small_size),
            _resized(picture.cb, self.small_size),
            _resized(picture.cr, self.small_size),
        )


def novelty(one: Look, other: Look) -> float:
    """Mean luma difference of the block that differs most, 0 to 255: fires on a subtitle as on a cut."""
    return float(_blocks(one.grey, other.grey).max())


def likeness(one: Plane, other: Plane) -> float:
    """How alike two `Look.y` are, 0 to 1 (1: the same).

    Half of it is the mean difference, half the worst block's: 1 - (min(1, mean / 64) + min(1, worst / 192)) / 2.
    """
    blocks = _blocks(one, other)
    mean, worst = float(blocks.mean()), float(blocks.max())
    return 1.0 - (min(1.0, mean / _FAR_MEAN) + min(1.0, worst / _FAR_BLOCK)) / 2


def change(one: Look, other: Look) -> float:
    """Sum of the mean differences of Y, Cb and Cr, 8-bit steps: what a cut is judged by.

    Not hue and saturation, as is common: the hue of a dark or grey pixel is noise and made fades look like cuts.
    """
    return _mean_difference(one.y, other.y) + _mean_difference(one.cb, other.cb) + _mean_difference(one.cr, other.cr)


def motion(one: Look, other: Look) -> float:
    """Mean luma difference, 0 to 1 of the 8-bit scale."""
    return _mean_difference(one.grey, other.grey) / 255


def is_black(look: Look) -> bool:
    """Whether at least 98 % of the picture is black and nothing in it shines: a lit window or a title does."""
    dark = np.count_nonzero(look.y <= _BLACK_LUMA) >= _BLACK_SHARE * look.y.size
    return bool(dark and look.y.max() <= _BLACK_PEAK)


def _within(width_px: int, height_px: int, long_side_px: int) -> tuple[int, int]:
    scale = min(1.0, long_side_px / max(width_px, height_px))
    return max(1, round(width_px * scale)), max(1, round(height_px * scale))


def _resized(plane: Plane, size: tuple[int, int]) -> Plane:
    # Averaging areas: taking single pixels would make noise and fine patterns look like change.
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.uint8)


def _blocks(one: Plane, other: Plane) -> Plane:
    height, width = one.shape
    grid = max(1, width // _BLOCK_PX), max(1, height // _BLOCK_PX)
    return _resized(np.asarray(cv2.absdiff(one, other), np.uint8), grid)


def _mean_difference(one: Plane, other: Plane) -> float:
    return cv2.norm(one, other, cv2.NORM_L1) / one.size
