"""The script of `vidctl explain`."""

from __future__ import annotations

import subprocess
from fractions import Fraction
from pathlib import Path

from tests.unit.media.sources import audio, probe, video
from vidcompute.domain.job import JobSpec, OutputSpec
from vidcompute.media.explain import explain
from vidcompute.media.plan import make_plan

SPEC = JobSpec(input="upload:x", outputs=(OutputSpec(240),))


def script(source: str = "/clips/beach.mp4", **changes) -> str:
    measured = probe(video(**changes), audio())
    return explain(make_plan(measured, SPEC), measured, source=Path(source), ffmpeg=Path("/opt/my ffmpeg"))


def test_every_flag_stands_with_its_reason():
    lines = [line for line in script().splitlines() if line.startswith("  -")]

    assert sum("# " in line for line in lines) >= len(lines) - 4


def test_it_is_a_script_that_bash_understands():
    done = subprocess.run(["bash", "-n"], input=script("/clips/it's -x `id` $(id).mp4"), text=True, check=False)

    assert done.returncode == 0


def test_a_name_with_a_line_end_cannot_leave_its_comment():
    text = script("/clips/a\nrm -rf x.mp4")

    assert text.splitlines()[0].startswith("# a rm -rf x.mp4")
    assert text.splitlines()[1].startswith("# in: ")


def test_what_is_done_to_the_picture_is_said():
    text = script(rotation=90, start=Fraction(1), start_pts=90_000)

    assert "turned by 90° clockwise" in text
    assert "held for 30 more" in text
