"""Progress from `-progress`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vidcompute.media.progress import Progress, ProgressParser

BLOCK = b"frame=93\nfps=48.20\nstream_0_0_q=28.0\nout_time_us=3100000\nspeed=3.1x\nprogress=continue\n"


def test_a_block_is_one_report():
    (report,) = ProgressParser().feed(BLOCK)

    assert report == Progress(frame=93, fps=48.2, speed=3.1, out_time_s=3.1)


def test_blocks_may_arrive_in_any_portions():
    parser = ProgressParser()

    reports = [report for at in range(len(BLOCK)) for report in parser.feed(BLOCK[at : at + 1])]

    assert [report.frame for report in reports] == [93]


def test_the_last_block_says_so():
    (report,) = ProgressParser().feed(BLOCK.replace(b"continue", b"end"))

    assert report.ended


def test_what_is_not_known_yet_counts_as_zero():
    (report,) = ProgressParser().feed(b"frame=0\nfps=0.00\nout_time_us=N/A\nspeed=N/A\nprogress=continue\n")

    assert report == Progress(frame=0, fps=0.0, speed=0.0, out_time_s=0.0)


def test_two_parsers_share_nothing():
    ProgressParser().feed(b"frame=7\n")

    assert ProgressParser().feed(b"progress=continue\n")[0].frame == 0


def test_percent_never_passes_a_hundred_nor_divides_by_nothing():
    report = Progress(frame=120, fps=1.0, speed=1.0, out_time_s=4.0)

    assert report.percent(240) == 50.0
    assert report.percent(100) == 100.0
    assert report.percent(0) == 0.0


_LINES = st.lists(
    st.one_of(
        st.binary(max_size=40),
        st.sampled_from(
            [b"frame=9999999999999999999999", b"frame=nan", b"fps=inf", b"speed=-1x", b"progress=continue"]
        ),
    ),
    max_size=30,
)


@given(_LINES)
def test_no_bytes_make_it_raise(lines):
    reports = ProgressParser().feed(b"\n".join(lines) + b"\n")

    assert all(report.frame >= 0 and report.fps >= 0 and report.speed >= 0 for report in reports)
