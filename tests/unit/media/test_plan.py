"""From a measured source and a spec to a plan."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from tests.unit.media.sources import audio, probe, video
from vidcompute import wire
from vidcompute.domain.job import Codec, FrameMode, FramesSpec, JobSpec, OutputSpec, Packaging
from vidcompute.domain.media import Scan, Transfer
from vidcompute.domain.plan import Plan
from vidcompute.media.plan import PlanSettings, color_plan, make_plan, output_rate, plan_hash

SPEC = JobSpec(input="upload:x")
DROP = Fraction(30000, 1001)


def planned(picture=None, *sounds, spec: JobSpec = SPEC, **changes) -> Plan:
    return make_plan(probe(picture, *sounds, **changes), spec)


def test_a_constant_source_keeps_its_pictures_one_to_one():
    plan = planned(video(), audio())

    assert plan.output_frames == plan.source_frames == 300
    assert plan.picture.source_is_cfr
    assert plan.picture.frame_rate == 30
    assert plan.duration == 10
    assert (plan.lead_frames, plan.tail_frames, plan.origin_pts) == (0, 0, 0)


def test_segments_are_whole_pictures_of_fractional_rates():
    plan = planned(video(frame_rate=DROP, duration=300 / DROP))

    assert (plan.gop_frames, plan.segment_frames) == (60, 180)
    assert plan.segment_frames / plan.picture.frame_rate == Fraction(6006, 1000)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (video(frame_rate=Fraction(120)), Fraction(60)),
        (video(frame_rate=Fraction(72)), Fraction(36)),
        (video(frame_rate=Fraction(120000, 1001)), Fraction(60000, 1001)),
        (video(frame_rate=Fraction(25), scan=Scan.INTERLACED), Fraction(50)),
        (video(frame_rate=Fraction(8797, 1000)), Fraction(8797, 1000)),
        (video(frame_rate=Fraction(1, 4)), Fraction(1)),
        (video(frame_rate=Fraction("16.76"), usual_rate=Fraction(15), variable_rate=True), Fraction(20)),
        (video(frame_rate=Fraction("90.58"), usual_rate=Fraction(100), variable_rate=True), Fraction(60)),
        (
            video(frame_rate=Fraction("23.48"), usual_rate=Fraction(24000, 1001), variable_rate=True),
            Fraction(24000, 1001),
        ),
        (video(frame_rate=Fraction(1, 100), usual_rate=Fraction(60), variable_rate=True), Fraction(1)),
    ],
)
def test_output_rate(source, expected):
    assert output_rate(source, PlanSettings()) == expected


def test_sound_that_begins_first_holds_the_first_picture_on_the_grid():
    source = video(start=Fraction(1), start_pts=90_000)

    plan = planned(source, audio())

    assert (plan.lead_frames, plan.origin, plan.origin_pts) == (30, Fraction(0), 0)
    assert plan.output_frames == 330


def test_a_lead_of_less_than_half_a_picture_doubles_none():
    plan = planned(video(start=Fraction(3, 1000), start_pts=270), audio())

    assert (plan.lead_frames, plan.origin) == (0, Fraction(3, 1000))


def test_the_grid_stays_the_pictures_own_when_sound_begins_between_two():
    plan = planned(video(start=Fraction(1, 10), start_pts=9000, frame_rate=Fraction(24)), audio())

    assert plan.lead_frames == 2
    assert plan.origin == Fraction(1, 10) - Fraction(2, 24)


def test_a_lead_beyond_reason_is_cut_with_a_warning():
    plan = planned(video(start=Fraction(1000), start_pts=90_000_000), audio())

    assert plan.lead_frames == 0
    assert "1000 s before the picture" in plan.warnings[0]


def test_sound_that_goes_on_keeps_the_last_picture():
    plan = planned(video(), audio(duration=Fraction(12)))

    assert (plan.tail_frames, plan.output_frames, plan.duration) == (60, 360, Fraction(12))


def test_a_last_crumb_of_sound_is_cut():
    assert planned(video(), audio(duration=Fraction("10.3"))).tail_frames == 0


def test_a_source_that_begins_before_zero_is_shifted_for_the_analyst():
    plan = planned(video(start=Fraction(-9), start_pts=-810_000))

    assert plan.analysis.pts_shift >= 810_000
    assert plan.analysis.source_pts(plan.analysis.pts_shift - 810_000, Fraction(1, 90_000)) == -810_000


def test_the_analysts_ticks_are_the_sources_even_in_a_finer_time_base():
    analysis = planned(video(time_base=Fraction(1, 1000))).analysis

    assert analysis.source_pts(33 * 64, Fraction(1, 64_000)) == 33


@pytest.mark.parametrize(
    ("picture", "size"),
    [
        (video(), (640, 360)),
        (video(rotation=90), (360, 640)),
        (video(width_px=161, height_px=121), (160, 120)),
        (video(width_px=1438, height_px=246), (640, 110)),
        (video(width_px=1, height_px=1), (16, 16)),
    ],
)
def test_analysis_pictures_are_small_even_and_upright(picture, size):
    analysis = planned(picture).analysis

    assert (analysis.width_px, analysis.height_px) == size


def test_no_analysis_without_context():
    assert planned(spec=replace(SPEC, enable_llm=False)).analysis is None


def test_a_fixed_rate_of_anchors_is_the_one_asked_for():
    spec = replace(SPEC, frames=FramesSpec(mode=FrameMode.FPS, fps=0.5))

    assert planned(spec=spec).analysis.max_anchors_per_s == 0.5


def test_renditions_are_named_from_the_best():
    plan = planned(spec=replace(SPEC, outputs=(OutputSpec(240), OutputSpec(480, codec=Codec.HEVC))))

    assert [(rung.name, rung.height_px, rung.codec) for rung in plan.renditions] == [
        ("v0", 480, Codec.HEVC),
        ("v1", 240, Codec.H264),
    ]


def test_surround_is_folded_and_said():
    plan = planned(video(), audio(channels=6, sample_rate_hz=96_000))

    assert (plan.audio[0].channels, plan.audio[0].sample_rate_hz) == (2, 48_000)
    assert any("stereo" in warning for warning in plan.warnings)


def test_rates_of_the_44100_family_stay_in_it():
    assert planned(video(), audio(sample_rate_hz=22_050)).audio[0].sample_rate_hz == 44_100


def test_tracks_that_hold_nothing_are_left_out():
    plan = planned(video(), audio(duration=Fraction(0)), audio(index=2, language="deu"))

    assert [(track.name, track.stream_index, track.language) for track in plan.audio] == [("a0", 2, "deu")]


@pytest.mark.parametrize(
    ("asked", "word"),
    [
        ({"quality_vmaf": 93.0}, "VMAF"),
        ({"packaging": (Packaging.MP4,)}, "MP4"),
        ({"deadline_s": 60.0}, "Deadlines"),
        ({"webhook_url": "https://a.example/done"}, "Webhooks"),
    ],
)
def test_what_cannot_be_done_yet_is_not_silently_ignored(asked, word):
    assert any(word in warning for warning in planned(spec=replace(SPEC, **asked)).warnings)


@pytest.mark.parametrize(
    ("source", "matrix", "full_range"),
    [
        (video(color_matrix="unknown", color_primaries="unknown"), "bt709", False),
        (video(width_px=640, height_px=480, color_matrix="unknown"), "smpte170m", False),
        (video(width_px=192, height_px=240, color_matrix="gbr"), "smpte170m", False),
        (video(color_matrix="bt470bg", full_range=True), "bt470bg", True),
        (video(pixel_format="bgra", width_px=320, height_px=200, color_matrix="gbr"), "bt709", True),
    ],
)
def test_colour_is_decided_where_the_source_does_not(source, matrix, full_range):
    color = color_plan(source)

    assert (color.matrix, color.full_range) == (matrix, full_range)


@pytest.mark.parametrize(("transfer", "name"), [(Transfer.PQ, "smpte2084"), (Transfer.HLG, "arib-std-b67")])
def test_hdr_is_mapped_to_sdr(transfer, name):
    plan = planned(video(transfer=transfer, color_matrix="bt2020nc", color_primaries="bt2020"))

    assert plan.picture.tone_map
    assert plan.picture.color.transfer == name


def test_a_plan_survives_the_wire():
    plan = planned(video(frame_rate=DROP), audio())

    assert wire.loads(Plan, wire.dumps(plan)) == plan


def test_equal_plans_hash_alike_and_any_change_shows():
    plan = planned(video(), audio())

    assert plan_hash(plan) == plan_hash(wire.parse(Plan, wire.plain(plan)))
    assert plan_hash(plan) != plan_hash(replace(plan, gop_frames=plan.gop_frames + 1))
    assert len(plan_hash(plan)) == 64
