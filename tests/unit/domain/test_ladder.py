"""Which sizes a source becomes."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidcompute.domain.job import Codec, OutputSpec, Preset
from vidcompute.domain.ladder import DEFAULT, MIN_SIDE_PX, Fitted, Picture, Wish, ceiling_bps, fit


def fitted(width_px: int, height_px: int, *outputs: OutputSpec, rate: int = 30, bitrate_bps: int = 0, **wish) -> Fitted:
    picture = Picture(width_px, height_px, Fraction(rate), bitrate_bps=bitrate_bps)
    return fit(DEFAULT, picture=picture, wish=Wish(outputs=outputs, **wish))


def sizes(result: Fitted) -> list[tuple[int, int]]:
    return [(rung.width_px, rung.height_px) for rung in result.rungs]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ((1280, 720), [(1280, 720), (854, 480), (640, 360)]),
        ((720, 1280), [(720, 1280), (480, 854), (360, 640)]),
        ((1920, 1080), [(1920, 1080), (1280, 720), (854, 480), (640, 360)]),
        ((640, 360), [(640, 360), (426, 240), (256, 144)]),
        ((7680, 4320), [(3840, 2160), (2560, 1440), (1920, 1080), (1280, 720), (854, 480), (640, 360)]),
        ((1000, 813), [(1000, 812), (590, 480), (442, 360)]),
        ((161, 121), [(160, 120)]),
        ((50, 50), [(50, 50)]),
        ((1, 1), [(16, 16)]),
    ],
)
def test_ladder_is_fitted_to_the_source(source, expected):
    assert sizes(fitted(*source)) == expected


def test_given_outputs_are_made_exactly():
    result = fitted(1920, 1080, OutputSpec(360), OutputSpec(720))

    assert sizes(result) == [(1280, 720), (640, 360)]
    assert result.warnings == ()


def test_nothing_is_enlarged_and_the_caller_is_told():
    result = fitted(640, 360, OutputSpec(1080), OutputSpec(240))

    assert sizes(result) == [(640, 360), (426, 240)]
    assert result.warnings == ("1080p was asked for; 360p is the largest that this source gives.",)


def test_rungs_that_come_out_the_same_are_made_once():
    result = fitted(640, 360, OutputSpec(1080), OutputSpec(720))

    assert sizes(result) == [(640, 360)]
    assert any("left out" in warning for warning in result.warnings)


def test_one_size_in_two_codecs_is_two_rungs():
    result = fitted(640, 360, OutputSpec(360), OutputSpec(360, codec=Codec.AV1))

    assert [rung.codec for rung in result.rungs] == [Codec.H264, Codec.AV1]


def test_wide_strips_stay_within_what_hardware_decodes():
    assert sizes(fitted(7680, 1080))[0] == (4096, 576)


def test_a_bit_rate_for_the_job_is_the_top_rungs_and_shared_by_pixels_below():
    chosen = fitted(1280, 720).rungs
    asked = fit(DEFAULT, picture=Picture(1280, 720, Fraction(30)), wish=Wish(bitrate_bps=5_000_000)).rungs

    assert all(rung.target_bitrate_bps is None for rung in chosen)
    assert asked[0].target_bitrate_bps == 5_000_000
    assert asked[0].max_bitrate_bps == 7_500_000
    assert all(lower.target_bitrate_bps < 5_000_000 for lower in asked[1:])


def test_an_outputs_own_bit_rate_wins():
    (rung,) = fitted(1280, 720, OutputSpec(480, bitrate_bps=1_000_000), bitrate_bps=0).rungs

    assert rung.target_bitrate_bps == 1_000_000


def test_a_poor_source_is_not_given_more_bits_than_it_can_fill():
    (rung, *_) = fitted(1920, 1080, bitrate_bps=500_000).rungs

    assert rung.max_bitrate_bps == 1_500_000


def test_ceiling_grows_with_pixels_and_rate_and_shrinks_with_better_codecs():
    plain = ceiling_bps(DEFAULT, pixels=1280 * 720, frame_rate=Fraction(30), codec=Codec.H264)

    assert ceiling_bps(DEFAULT, pixels=1920 * 1080, frame_rate=Fraction(30), codec=Codec.H264) == 6_000_000
    assert ceiling_bps(DEFAULT, pixels=1280 * 720, frame_rate=Fraction(60), codec=Codec.H264) == pytest.approx(
        1.5 * plain, abs=1000
    )
    assert ceiling_bps(DEFAULT, pixels=1280 * 720, frame_rate=Fraction(30), codec=Codec.AV1) < plain


def test_better_presets_aim_higher():
    fast, quality = (fitted(1280, 720, preset=preset).rungs[0].crf for preset in (Preset.FAST, Preset.QUALITY))

    assert quality < fast


@given(
    width_px=st.integers(1, 9000),
    height_px=st.integers(1, 9000),
    outputs=st.lists(st.builds(OutputSpec, st.integers(1, 5000)), max_size=4),
)
def test_rungs_are_even_shrinking_and_never_enlarged(width_px, height_px, outputs):
    rungs = fitted(width_px, height_px, *outputs).rungs

    assert rungs
    for rung in rungs:
        assert rung.width_px % 2 == rung.height_px % 2 == 0
        assert rung.width_px <= max(width_px, MIN_SIDE_PX)
        assert rung.height_px <= max(height_px, MIN_SIDE_PX)
        assert max(rung.width_px, rung.height_px) <= DEFAULT.max_long_side_px
        assert rung.max_bitrate_bps > 0
    areas = [rung.width_px * rung.height_px for rung in rungs]
    assert areas == sorted(areas, reverse=True)
