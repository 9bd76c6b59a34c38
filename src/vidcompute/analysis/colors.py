"""Colours as people name them: shares of CSS colour names in a picture."""

from __future__ import annotations

from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from vidcompute.analysis.pictures import Plane

#: 8-bit samples, shape (height, width, 3): blue, green, red.
Bgr: TypeAlias = NDArray[np.uint8]

#: The CSS Color Module Level 4 names that people would type into a search box, as 0xRRGGBB.
_NAMED = {
    "black": 0x000000, "dimgray": 0x696969, "gray": 0x808080, "silver": 0xC0C0C0, "white": 0xFFFFFF,
    "maroon": 0x800000, "red": 0xFF0000, "crimson": 0xDC143C, "salmon": 0xFA8072, "pink": 0xFFC0CB,
    "orange": 0xFFA500, "gold": 0xFFD700, "yellow": 0xFFFF00, "khaki": 0xF0E68C, "beige": 0xF5F5DC,
    "brown": 0xA52A2A, "sienna": 0xA0522D, "tan": 0xD2B48C, "olive": 0x808000, "darkgreen": 0x006400,
    "green": 0x008000, "lime": 0x00FF00, "seagreen": 0x2E8B57, "teal": 0x008080, "darkslategray": 0x2F4F4F, "turquoise": 0x40E0D0,
    "skyblue": 0x87CEEB, "steelblue": 0x4682B4, "blue": 0x0000FF, "navy": 0x000080, "midnightblue": 0x191970,
    "indigo": 0x4B0082, "purple": 0x800080, "violet": 0xEE82EE, "magenta": 0xFF00FF, "lavender": 0xE6E6FA,
}  # fmt: skip
_LEVELS = 16
_SAMPLE_PX = 96
#: A colour below this share of the picture is not what one would call it by.
_LEAST_SHARE = 0.08
_MOST_NAMES = 4


class Palette:
    """Names the colours of pictures; making one costs about a millisecond, so make it once."""

    def __init__(self) -> None:
        self._names = tuple(_NAMED)
        named = np.array([[(rgb & 255, rgb >> 8 & 255, rgb >> 16) for rgb in _NAMED.values()]], np.uint8)
        steps = (np.arange(_LEVELS) * (256 // _LEVELS) + 256 // _LEVELS // 2).astype(np.uint8)
        cube = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(1, -1, 3)
        # CIELAB: the nearest name by eye, where RGB distance would call dark blue black.
        distances = np.linalg.norm(_lab(cube)[0][:, None] - _lab(named)[0][None], axis=2)
        self._nearest = distances.argmin(axis=1)

    def shares(self, picture: Bgr) -> tuple[tuple[str, float], ...]:
        """The names that cover most of the picture with their share (0 to 1), largest first; at least one."""
        height, width = picture.shape[:2]
        scale = min(1.0, _SAMPLE_PX / max(width, height))
        size = max(1, round(width * scale)), max(1, round(height * scale))
        # Single pixels, not averages: black text on white holds no grey.
        sample = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_NEAREST)).reshape(-1, 3).astype(np.intp)
        level = sample * _LEVELS // 256
        names = self._nearest[(level[:, 0] * _LEVELS + level[:, 1]) * _LEVELS + level[:, 2]]
        counts = np.bincount(names, minlength=len(self._names)) / names.size
        order = np.argsort(-counts, kind="stable")[:_MOST_NAMES]
        kept = [at for at in order if counts[at] >= _LEAST_SHARE] or [order[0]]
        return tuple((self._names[at], round(float(counts[at]), 2)) for at in kept)


def bgr(luma: Plane, cb: Plane, cr: Plane, *, matrix: str = "smpte170m") -> Bgr:
    """A yuv420p picture (limited range, of that ITU-T H.273 matrix) as BGR; odd sizes lose their last row or column."""
    height, width = luma.shape[0] & ~1, luma.shape[1] & ~1
    if not height or not width:
        return np.asarray(cv2.cvtColor(luma, cv2.COLOR_GRAY2BGR), np.uint8)
    half = (slice(height // 2), slice(width // 2))
    chroma = [cv2.resize(plane[half], (width, height), interpolation=cv2.INTER_LINEAR) for plane in (cb, cr)]
    # Here, for the few pictures that are looked at in colour: ffmpeg would pay for every one, 0.9 ms each.
    packed = cv2.merge([luma[:height, :width], *chroma])
    return np.asarray(cv2.transform(packed, _from_ycbcr(matrix)), np.uint8)


#: Weights of red and blue in luma (ITU-R BT.601, BT.709, BT.2020).
_LUMA_WEIGHTS = {"bt709": (0.2126, 0.0722), "bt2020nc": (0.2627, 0.0593)}
_BT601 = (0.299, 0.114)


def _from_ycbcr(matrix: str) -> NDArray[np.float32]:
    """3 × 4: limited-range (Y, Cb, Cr, 1) to (B, G, R)."""
    red, blue = _LUMA_WEIGHTS.get(matrix, _BT601)
    green = 1 - red - blue
    luma, chroma = 255 / 219, 2 * 255 / 224
    rows = np.array(
        [
            [luma, chroma * (1 - blue), 0],
            [luma, -chroma * (1 - blue) * blue / green, -chroma * (1 - red) * red / green],
            [luma, 0, chroma * (1 - red)],
        ]
    )
    offset = -rows @ np.array([16, 128, 128])
    return np.column_stack([rows, offset]).astype(np.float32)


def _lab(colors: Bgr) -> NDArray[np.float32]:
    return np.asarray(cv2.cvtColor(colors.astype(np.float32) / 255, cv2.COLOR_BGR2Lab), np.float32)
