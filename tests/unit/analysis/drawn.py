"""Pictures drawn for tests: what they show is known because it was put there."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from fractions import Fraction

import cv2
import numpy as np
from numpy.typing import NDArray

from vidcompute.analysis.anchors import Pace, Selection, Stretch
from vidcompute.analysis.looks import Lens
from vidcompute.analysis.pictures import Picture, Plane
from vidcompute.analysis.scenes import Frame, mark_scenes
from vidcompute.domain.frames import FrameTable
from vidcompute.domain.job import FrameMode

WIDTH, HEIGHT = 320, 180
#: Ticks of a thousandth; 40 of them a frame: 25 frames a second.
TIME_BASE, TICKS = Fraction(1, 1000), 40

BLACK = np.full((HEIGHT, WIDTH), 16, np.uint8)
WHITE = np.full((HEIGHT, WIDTH), 235, np.uint8)


@functools.cache
def photo(seed: int, *, low: int = 30, high: int = 220) -> Plane:
    """A soft random picture, as a photograph is: another one for another seed."""
    coarse = np.random.default_rng(seed).uniform(low, high, (6, 10)).astype(np.float32)
    return cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC).clip(low, high).astype(np.uint8)


def grainy(luma: Plane, seed: int, *, sigma: float = 3.0) -> Plane:
    """The picture with sensor noise and what a lossy codec leaves of it."""
    top, left = seed * 31 % 97, seed * 57 % 101
    return (luma + _noise(sigma)[top : top + HEIGHT, left : left + WIDTH]).clip(0, 255).astype(np.uint8)


@functools.cache
def _noise(sigma: float) -> NDArray[np.int16]:
    # Drawn once and moved about: drawing it for each frame took most of these tests' time.
    return np.random.default_rng(0).normal(0, sigma, (HEIGHT + 97, WIDTH + 101)).round().astype(np.int16)


def written(luma: Plane, text: str, *, at: tuple[int, int] = (60, 165), scale: float = 0.5) -> Plane:
    """The picture with a subtitle: white letters with a dark rim."""
    canvas = luma.copy()
    cv2.putText(canvas, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, 16, 4, cv2.LINE_AA)
    cv2.putText(canvas, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, 235, 1, cv2.LINE_AA)
    return canvas


def faded(luma: Plane, share: float) -> Plane:
    """The picture on its way to black; 0 is black."""
    return (16 + (luma.astype(float) - 16) * share).clip(0, 255).astype(np.uint8)


def frames(lumas: Iterable[Plane], *, pts: Iterable[int] | None = None, chroma_seed: int | None = None) -> list[Frame]:
    """Frames 40 ms apart, or at the given pts; grey, or with noise for chroma."""
    found = []
    times = iter(pts) if pts is not None else iter(range(0, 10**9, TICKS))
    rng = None if chroma_seed is None else np.random.default_rng(chroma_seed)
    for luma in lumas:
        half = (luma.shape[0] + 1) // 2, (luma.shape[1] + 1) // 2
        cb, cr = (np.full(half, 128, np.uint8) if rng is None else _tinted(rng, half) for _ in range(2))
        picture = Picture(next(times), luma, cb, cr)
        found.append(Frame(picture, Lens.fitting(luma.shape[1], luma.shape[0]).look(picture)))
    return found


def _tinted(rng: np.random.Generator, shape: tuple[int, int]) -> Plane:
    return rng.integers(125, 132, shape).astype(np.uint8)


def beginnings(clip: list[Frame]) -> list[int]:
    """Indices of the frames that begin a scene."""
    return [at for at, (_, begins) in enumerate(mark_scenes(clip, TIME_BASE)) if begins]


def selected(
    clip: list[Frame], *, mode: FrameMode = FrameMode.AUTO, per_s: float = 2.0
) -> tuple[FrameTable, list[Stretch]]:
    """The frame table of a clip, and its anchors' stretches in the order in which they came."""
    selection, stretches = Selection(Pace(mode, per_s, TIME_BASE)), []
    for frame, begins in mark_scenes(clip, TIME_BASE):
        stretches += selection.add(frame, begins_scene=begins)
    stretches += selection.finish()
    return selection.table(starts_scene=True), stretches
