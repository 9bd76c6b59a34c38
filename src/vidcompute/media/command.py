"""The ffmpeg command lines of a job: pure functions of the plan.

One process decodes a chunk once and makes everything of it: all renditions, and the small pictures for analysis.
Sound is encoded whole in a process of its own: cut into chunks it would have a gap at every joint.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from vidcompute.domain.plan import AnalysisPlan, AudioPlan, ChunkPlan, Plan, RenditionPlan
from vidcompute.media.demuxers import ANALYZE_US, PROBE_BYTES, VIDEO_DEMUXERS
from vidcompute.media.encoders import Grid, encoder_flags
from vidcompute.media.flags import Command, Flag, flag
from vidcompute.media.graph import chunk_graph, first_frame_time, sound_graphs

#: Larger than any probe limit that makes sense: a stream may grow in the middle, after the probe has looked.
MAX_PIXELS = 8192 * 8192

#: How much before a chunk decoding begins, in seconds: from an earlier keyframe. Transport streams have no index, and
#: the nearest keyframe before a byte position is a guess.
_PREROLL_S = {"mpegts": Fraction(6), "mpeg": Fraction(6)}
_USUAL_PREROLL_S = Fraction(1, 2)

_PLAIN_MP4 = "+cmaf+empty_moov+delay_moov"


def chunk_command(
    plan: Plan, chunk: ChunkPlan, *, ffmpeg: Path, input_fd: int, analysis_fd: int | None, threads: int
) -> Command:
    """All renditions of one chunk, as fragmented MP4 named `<rendition>.mp4` in the working directory.

    `input_fd` is the source, opened by nobody else (a descriptor shared with another process shares its offset).
    `analysis_fd` takes the NUT stream of small pictures; None, or a plan without analysis, makes none.
    """
    looks = analysis_fd is not None and plan.analysis is not None
    flags = [
        *_general(),
        *_clock(plan, plan.origin + plan.lead_frames / plan.picture.frame_rate),
        *_seek(plan, chunk),
        *_pictures(),
        *_input(input_fd, threads),
        flag("-filter_complex_threads", threads, reason="scaling may use as many cores as decoding"),
        flag("-filter_complex", chunk_graph(plan, chunk, look=looks), reason="one decode feeds every output"),
    ]
    for rung in plan.renditions:
        flags += _rendition(plan, rung, threads)
    if looks:
        flags += _analysis(plan.analysis, analysis_fd)
    return Command(
        program=ffmpeg,
        flags=tuple(flags),
        outputs=tuple(f"{rung.name}.mp4" for rung in plan.renditions),
        input_fd=input_fd,
        analysis_fd=analysis_fd if looks else None,
    )


def audio_command(plan: Plan, audio: AudioPlan, *, ffmpeg: Path, input_fd: int, threads: int = 1) -> Command:
    """One whole sound track as fragmented MP4 named `<audio>.mp4`, exactly as long as the picture.

    The encoder's priming is left to an edit list: 1024 samples come before zero, and players that read it stay in
    sync with the picture to the sample.
    """
    name = f"{audio.name}.mp4"
    flags = [
        *_general(),
        *_clock(plan, audio.start),
        *_input(input_fd, threads),
        *_sound(plan, audio),
        flag("-map", f"[{audio.name}]"),
        flag("-c:a", "aac", "-profile:a", "aac_low", reason="AAC-LC plays everywhere"),
        flag("-b:a", audio.bitrate_bps, reason="transparent for most ears"),
        *_container(),
        flag("-movflags", _PLAIN_MP4, reason="CMAF: fragments that name their own time"),
        flag(
            "-frag_duration", 200_000, reason="short fragments (µs), so that segments can be cut next to the picture's"
        ),
        flag("-use_editlist", 1, reason="CMAF mode drops it, and then sound is 21 ms late"),
        flag("-f", "mp4", name),
    ]
    return Command(program=ffmpeg, flags=tuple(flags), outputs=(name,), input_fd=input_fd)


def _sound(plan: Plan, audio: AudioPlan) -> Iterator[Flag]:
    plain, timed = sound_graphs(plan, audio)
    reason = "a graph of its own, begun anew when a broadcast changes from stereo to surround"
    yield flag("-filter_complex", plain, reason=reason)
    reason = "the picture's clock and length, silence where there is no sound; it sees no change of format"
    yield flag("-filter_complex", timed, reason=reason)


def _general() -> Iterator[Flag]:
    yield flag("-hide_banner", "-nostdin", reason="no chatter, and never a question that waits for an answer")
    yield flag("-loglevel", "level+warning", reason="each line with its level, so that errors can be counted")
    yield flag("-y", reason="a retry writes over what a killed try left")
    yield flag("-nostats", "-progress", "pipe:1", "-stats_period", "0.5", reason="progress for programs, on stdout")


def _clock(plan: Plan, start: Fraction) -> Iterator[Flag]:
    """`start` is the source time of the first picture or sample that this command reads."""
    if not plan.joined:
        yield flag("-copyts", reason="keep the source's clock: every decision of the plan is written in it")
    else:
        reason = "the source's clock jumps: put its parts end to end, from where the first one begins"
        yield flag("-itsoffset", f"{float(start):.6f}", reason=reason)


def _seek(plan: Plan, chunk: ChunkPlan) -> Iterator[Flag]:
    if chunk.start_frame:
        start = plan.origin + first_frame_time(plan, chunk) - _PREROLL_S.get(plan.container, _USUAL_PREROLL_S)
        yield flag("-seek_timestamp", 1, "-ss", f"{float(start):.6f}", reason="a keyframe a little before the chunk")
        yield flag("-noaccurate_seek", reason="the graph cuts by counting pictures; seconds would be off by one")


def _pictures() -> Iterator[Flag]:
    yield flag("-max_pixels", MAX_PIXELS, reason="a picture larger than this is an attack on memory")
    reason = "a size that changes midway is scaled; a new graph would begin at zero again"
    yield flag("-reinit_filter", 0, reason=reason)


def _input(input_fd: int, threads: int) -> Iterator[Flag]:
    yield flag("-threads", threads, reason="of the decoder")
    yield flag("-max_error_rate", 1, reason="half a film is better than none: the result is judged, not the exit code")
    yield flag(
        "-probesize", PROBE_BYTES, "-analyzeduration", ANALYZE_US, reason="see the same streams as the probe did"
    )
    yield flag("-format_whitelist", VIDEO_DEMUXERS, reason="no playlists: they would open other files")
    yield flag("-protocol_whitelist", "fd", reason="nothing but the one open file")
    yield flag("-fd", input_fd, "-i", "fd:", reason="an open file: no name can lead anywhere else")


def _rendition(plan: Plan, rung: RenditionPlan, threads: int) -> Iterator[Flag]:
    rate = plan.picture.frame_rate
    yield flag("-map", f"[{rung.name}]", reason=f"{rung.width_px} × {rung.height_px}")
    yield from encoder_flags(rung, Grid(gop_frames=plan.gop_frames, threads=threads))
    yield flag("-fps_mode", "passthrough", reason="the graph has made the rate; nothing is dropped or doubled after it")
    time_base = f"{rate.denominator}:{rate.numerator}"
    yield flag("-enc_time_base", time_base, reason="one tick a picture: rate control sees the true rate")
    yield flag("-video_track_timescale", rate.numerator, reason="exact durations for 29.97 and its kind")
    yield from _container()
    yield flag(
        "-movflags",
        f"{_PLAIN_MP4}+frag_keyframe+frag_discont",
        reason="CMAF, a fragment per keyframe; frag_discont makes a chunk's first decode time its true one",
    )
    yield flag("-use_editlist", 0, reason="the first picture is at zero by itself (negative composition offsets)")
    yield flag("-write_tmcd", 0, reason="no time code track: it would be a second stream")
    yield flag("-f", "mp4", f"{rung.name}.mp4")


def _container() -> Iterator[Flag]:
    reason = "nothing of the source's texts or chapters gets into the streams"
    yield flag("-map_metadata", -1, "-map_chapters", -1, reason=reason)
    yield flag("-fflags", "+bitexact", reason="no dates or version strings: equal input, equal bytes")


def _analysis(analysis: AnalysisPlan | None, analysis_fd: int | None) -> Iterator[Flag]:
    assert analysis is not None
    time_base = f"{analysis.time_base.numerator}:{analysis.time_base.denominator}"
    yield flag("-map", "[look]", reason="small pictures for cuts, anchors and text: never written to disk")
    yield flag("-c:v", "rawvideo", "-pix_fmt", "yuv420p", reason="no encoder: the reader is next door")
    yield flag("-fps_mode", "passthrough", reason="each source picture once, at its own time")
    yield flag("-enc_time_base", time_base, reason="the source's own ticks, unrounded")
    yield flag("-avoid_negative_ts", "disabled", reason="the muxer would move the clock")
    yield flag("-flush_packets", 1, reason="the reader works while we encode")
    yield flag("-write_index", 0, reason="a stream, read once, never sought")
    yield flag("-f", "nut", f"pipe:{analysis_fd}", reason="keeps every time stamp, unlike raw frames")
