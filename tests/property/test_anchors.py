"""Whatever the pictures and their times: every frame has an anchor of its own scene, and the pace is kept."""

from __future__ import annotations

import functools
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.analysis.drawn import TIME_BASE, selected
from vidcompute.analysis.looks import Lens
from vidcompute.analysis.pictures import Picture
from vidcompute.analysis.scenes import Frame
from vidcompute.domain.job import FrameMode

LENS = Lens.fitting(32, 18)


@functools.cache
def _looks(kind: int):
    luma = np.random.default_rng(kind).integers(16, 236, (18, 32)).astype(np.uint8)
    if kind == 0:
        luma[:] = 16
    elif kind == 1:
        luma[:] = 235
    half = np.full((9, 16), 100 + 7 * kind, np.uint8)
    return luma, half, LENS.look(Picture(0, luma, half, half))


def _clip(shown: list[tuple[int, int, int]]) -> list[Frame]:
    """`shown`: kind of picture, how many frames of it, ticks between them."""
    clip: list[Frame] = []
    pts = -500
    for kind, length, ticks in shown:
        luma, half, look = _looks(kind)
        for _ in range(length):
            clip.append(Frame(Picture(pts, luma, half, half), look))
            pts += ticks
    return clip


clips = st.lists(
    st.tuples(st.integers(0, 5), st.integers(1, 12), st.sampled_from([1, 8, 33, 40, 41, 100, 1000, 25_000])),
    min_size=1,
    max_size=12,
).map(_clip)
modes = st.sampled_from(list(FrameMode))
rates = st.sampled_from([0.1, 0.5, 1.0, 2.0, 4.0, 29.97])


@given(clips, modes, rates)
@settings(deadline=None)
def test_every_frame_points_at_an_anchor_of_its_own_scene(clip, mode, per_s):
    table, stretches = selected(clip, mode=mode, per_s=per_s)

    assert table.pts == tuple(frame.pts for frame in clip)
    assert table.anchor[0] == 0
    for scene, anchor in zip(table.scene, table.anchor, strict=True):
        assert stretches[anchor].scene == scene


@given(clips, modes, rates)
@settings(deadline=None)
def test_an_anchor_is_its_own_and_its_frames_are_one_stretch(clip, mode, per_s):
    table, stretches = selected(clip, mode=mode, per_s=per_s)

    assert [stretch.index for stretch in stretches] == sorted({stretch.index for stretch in stretches})
    for number, stretch in enumerate(stretches):
        assert table.anchor[stretch.index] == number
        assert table.similarity[stretch.index] == 1.0
    assert all(later - earlier in {0, 1} for earlier, later in pairwise(table.anchor))
    assert all(0.0 <= value <= 1.0 for value in table.similarity)


@given(clips, rates)
@settings(deadline=None)
def test_within_a_scene_anchors_keep_their_distance(clip, per_s):
    _, stretches = selected(clip, per_s=per_s)

    for earlier, later in pairwise(stretches):
        if earlier.scene == later.scene:
            assert (later.frame.pts - earlier.frame.pts) * TIME_BASE * per_s >= 0.999 or (
                (later.frame.pts - earlier.frame.pts) * TIME_BASE >= 10
            )


@given(clips, modes)
@settings(deadline=None)
def test_every_scene_is_opened_by_one_anchor(clip, mode):
    table, stretches = selected(clip, mode=mode)

    assert [stretch.scene for stretch in stretches if stretch.opens_scene] == list(range(table.scene[-1] + 1))


@given(clips, rates)
@settings(deadline=None)
def test_the_tail_of_a_long_clip_is_covered_as_its_head_is(clip, per_s):
    table, stretches = selected(clip, per_s=per_s)

    last = stretches[table.anchor[-1]]
    assert (clip[-1].pts - last.frame.pts) * TIME_BASE <= 10 or last.index == len(clip) - 1
