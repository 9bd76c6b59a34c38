"""Against what real clips are known to show; the numbers are floors that the policy had when it was chosen."""

import json

import pytest

from tests.integration.analysis.stream import analysed, pictures_of
from vidcompute.domain.job import FrameMode


def cuts_of(table) -> list[int]:
    return [at for at in range(1, len(table.scene)) if table.scene[at] != table.scene[at - 1]]


def test_hard_cuts_of_the_edited_reel_are_exact(real_clips, ffmpeg, tmp_path):
    reel = real_clips["deriv_edit_a_720p30.mp4"].path
    truth = json.loads(reel.with_suffix(".truth.json").read_text())

    table, anchors = analysed(ffmpeg, reel, tmp_path)

    assert len(table.pts) == truth["frames"]
    cuts, hard = set(cuts_of(table)), set(truth["hard_cut_first_frames"])
    # The one-frame flash between two shots is one border, not two.
    assert hard - cuts <= {1381}
    # The only other border is the end of the black between two fades.
    assert [at for at in cuts - hard if not 1050 <= at <= 1060] == []
    assert len(anchors) < 0.07 * truth["frames"]


@pytest.mark.parametrize(
    ("name", "cuts"),
    [
        ("nat_butterfly_720p.mp4", []),
        ("nat_cups_720p.mp4", []),
        ("nat_dog_720p.mp4", []),
        ("nat_flower_960x540.mp4", []),
        ("nat_juggle_720p24.mp4", []),
        ("cnt_frame_counter_10fps_1080p.mp4", [10, 20]),
    ],
)
def test_natural_shots_are_one_scene_and_cuts_are_exact(real_clips, ffmpeg, tmp_path, name, cuts):
    table, _ = analysed(ffmpeg, real_clips[name].path, tmp_path, mode=FrameMode.SCENE)

    assert cuts_of(table) == cuts


@pytest.mark.parametrize(
    "name",
    ["ts_vfr_phone_720p.mp4", "deriv_count_fingers_eng_deu.mp4", "one_frame_av1_64x64.mp4", "ts_no_duration.webm"],
)
def test_uneven_clips_have_a_row_for_every_picture(real_clips, ffmpeg, tmp_path, name):
    time_base, pts = pictures_of(real_clips[name].path)

    table, _ = analysed(ffmpeg, real_clips[name].path, tmp_path)

    assert (table.time_base, table.pts) == (time_base, pts)


def test_screens_look_like_text_and_most_natural_pictures_do_not(real_clips, ffmpeg, tmp_path):
    def likelihoods(*names: str) -> list[float]:
        found = []
        for name in names:
            clip = real_clips[name].path
            _, anchors = analysed(ffmpeg, clip, tmp_path, mode=FrameMode.FPS, per_s=1, before=("-t", "5"))
            found += [anchor.facts.text_likelihood for anchor in anchors]
        return found

    screens = likelihoods("scr_marimo_intro_1142x730.mp4", "scr_marimo_dataframe_odd_1000x813_vp9.webm")
    natural = likelihoods("nat_butterfly_720p.mp4", "nat_cups_720p.mp4", "nat_dog_720p.mp4", "nat_flower_960x540.mp4")

    assert min(screens) >= 0.5
    assert sum(value >= 0.5 for value in natural) <= 0.25 * len(natural)
