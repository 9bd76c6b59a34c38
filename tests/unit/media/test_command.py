"""The encoder's command lines."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from tests.unit.media.sources import audio, probe, video
from vidcompute.domain.job import Codec, JobSpec, OutputSpec
from vidcompute.domain.media import Scan, Transfer
from vidcompute.domain.plan import ChunkPlan, Plan
from vidcompute.media.command import audio_command, chunk_command
from vidcompute.media.flags import Command
from vidcompute.media.plan import make_plan

FFMPEG = Path("/opt/ffmpeg")
SPEC = JobSpec(input="upload:x", outputs=(OutputSpec(360), OutputSpec(240)))


def planned(picture=None, *sounds, spec: JobSpec = SPEC, **changes) -> Plan:
    return make_plan(probe(picture, *sounds, **changes), spec)


def encode(plan: Plan, chunk: ChunkPlan | None = None, *, analysis_fd: int | None = 9) -> Command:
    return chunk_command(plan, chunk or plan.chunks[0], ffmpeg=FFMPEG, input_fd=7, analysis_fd=analysis_fd, threads=2)


def values(command: Command, name: str) -> list[str]:
    argv = command.argv
    return [argv[at + 1] for at, word in enumerate(argv) if word == name]


def graph(command: Command) -> str:
    return values(command, "-filter_complex")[0]


def test_nearly_every_flag_says_why():
    flags = [
        *encode(planned(video(), audio())).flags,
        *audio_command(planned(video(), audio()), planned(video(), audio()).audio[0], ffmpeg=FFMPEG, input_fd=7).flags,
    ]

    unreasoned = {part.args[0] for part in flags if not part.reason}

    assert unreasoned <= {"-map", "-f"}


def test_one_decode_makes_all_renditions_and_the_analysis():
    command = encode(planned())

    assert command.argv.count("-i") == 1
    assert values(command, "-map") == ["[v0]", "[v1]", "[look]"]
    assert command.outputs == ("v0.mp4", "v1.mp4")
    assert command.fds == (7, 9)


def test_input_is_an_open_file_and_nothing_else():
    command = encode(planned())

    assert values(command, "-i") == ["fd:"]
    assert values(command, "-fd") == ["7"]
    assert values(command, "-protocol_whitelist") == ["fd"]
    assert not {"hls", "concat", "dash", "image2", "ffmetadata", "srt"} & set(
        values(command, "-format_whitelist")[0].split(",")
    )


def test_without_analysis_nothing_is_tapped():
    command = encode(planned(), analysis_fd=None)

    assert "split=2[main][tap]" not in graph(command)
    assert command.fds == (7,)
    assert encode(planned(spec=replace(SPEC, enable_llm=False))).fds == (7,)


def test_the_tap_comes_before_clock_rate_and_deinterlacer():
    before, after = graph(encode(planned(video(scan=Scan.INTERLACED)))).split("split=2[main][tap]")

    assert all(name not in before for name in ("setpts", "fps=", "bwdif"))
    assert all(name in after.split("[main]")[1] for name in ("setpts", "fps=", "bwdif"))
    assert "bwdif" not in after.split("[main]")[0]


def test_every_scale_is_followed_by_square_pixels():
    steps = graph(encode(planned(), analysis_fd=None))

    assert steps.count("scale=") == steps.count("setsar=1") == 2


def test_keyframes_are_counted_on_the_grid():
    plan = planned(video(frame_rate=Fraction(30000, 1001)))

    assert values(encode(plan), "-force_key_frames") == ["expr:not(mod(n,60))"] * 2
    assert values(encode(plan), "-enc_time_base")[:2] == ["1001:30000"] * 2
    assert values(encode(plan), "-video_track_timescale") == ["30000"] * 2


def test_the_whole_file_is_one_chunk_with_its_ends_held():
    plan = planned(video(start=Fraction(1), start_pts=90_000), audio(duration=Fraction(13)))

    chain = graph(encode(plan))

    assert "setpts=PTS-(0),fps=fps=30/1:start_time=0*1/30:round=near" in chain
    assert f"tpad=stop_mode=clone:stop={plan.tail_frames + 1},trim=start_pts=0:end_pts={plan.output_frames}" in chain
    assert "-ss" not in encode(plan).argv


def test_a_later_chunk_seeks_before_itself_and_counts_its_own_pictures():
    chunk = ChunkPlan(index=1, start_frame=180, end_frame=240)

    command = encode(planned(video(start=Fraction(2), start_pts=180_000)), chunk)

    assert values(command, "-ss") == ["7.500000"]
    assert "start_time=180*1/30" in graph(command)
    assert "trim=start_pts=180:end_pts=240" in graph(command)
    assert "tpad" not in graph(command)


def test_neighbouring_chunks_share_the_analysts_pictures_without_gap_or_overlap():
    plan = planned(video(time_base=Fraction(1, 1000)))

    first = graph(encode(plan, ChunkPlan(0, 0, 180))).split("[tap]trim=")[1].split(",")[0]
    second = graph(encode(plan, ChunkPlan(1, 180, None))).split("[tap]trim=")[1].split(",")[0]

    assert first == "start_pts=0:end_pts=5984"
    assert second == "start_pts=5984"


def test_transport_streams_seek_further_back():
    chunk = ChunkPlan(index=1, start_frame=300, end_frame=None)

    assert values(encode(planned(container="mpegts"), chunk), "-ss") == ["4.000000"]


def test_a_clock_that_jumps_is_not_copied():
    command = encode(planned(video(start=Fraction(7, 5), start_pts=126_000), clock_jumps=1))

    assert "-copyts" not in command.argv
    assert values(command, "-itsoffset") == ["1.400000"]


def test_hdr_is_mapped_after_scaling_in_both_branches():
    chain = graph(encode(planned(video(transfer=Transfer.PQ, color_matrix="bt2020nc", color_primaries="bt2020"))))

    assert chain.count("tonemap=hable") == 2
    for branch in (part for part in chain.split(";") if "tonemap=hable" in part):
        assert branch.index("scale=") < branch.index("tonemap=hable")


def test_full_range_becomes_limited():
    assert "in_range=full:out_range=limited" in graph(encode(planned(video(full_range=True))))


@pytest.mark.parametrize(
    ("codec", "encoder"),
    [(Codec.H264, "libx264"), (Codec.HEVC, "libx265"), (Codec.AV1, "libsvtav1"), (Codec.VP9, "libvpx-vp9")],
)
def test_each_codec_has_its_encoder_with_quality_and_ceiling(codec, encoder):
    command = encode(planned(spec=replace(SPEC, codec=codec)), analysis_fd=None)

    assert values(command, "-c:v") == [encoder] * 2
    assert len(values(command, "-crf")) == 2
    assert len(values(command, "-maxrate")) == 2


@pytest.mark.parametrize("codec", list(Codec))
def test_a_bit_rate_that_was_asked_for_replaces_constant_quality(codec):
    spec = replace(SPEC, outputs=(OutputSpec(360, codec=codec, bitrate_bps=800_000),))

    command = encode(planned(spec=spec), analysis_fd=None)

    assert values(command, "-b:v") == ["800000"]
    assert "-crf" not in command.argv


def test_sound_is_put_on_the_pictures_clock_and_length():
    plan = planned(video(start=Fraction(1, 3), start_pts=30_000), audio(start=Fraction(1, 3)))

    command = audio_command(plan, plan.audio[0], ffmpeg=FFMPEG, input_fd=7)

    plain, timed = values(command, "-filter_complex")
    assert "asetpts=PTS-(1/3)/TB" in plain
    assert timed.startswith("[plain]aresample=async=1:first_pts=0")
    assert timed.endswith("atrim=end_sample=480000[a0]")
    assert values(command, "-use_editlist") == ["1"]
    assert command.outputs == ("a0.mp4",)
