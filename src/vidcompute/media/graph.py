"""The filter graph: one decode in, all renditions and the analysis pictures out.

```text
decoded ─ colour said plainly ─┬─ clock ─ deinterlace ─ rate ─ hold ends ─ cut ─ v0 ─┬─ v1 ─┬─ v2 …
                               └─ cut by source time ─ one field ─ small ─ look
```

The branch `look` leaves before anything changes a time stamp: it sees each source picture once, with its own pts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction

from vidcompute.domain.plan import AnalysisPlan, AudioPlan, ChunkPlan, ColorPlan, Plan, RenditionPlan

#: Tone mapping (after scaling, where there are fewest pixels): to linear light, to BT.709 primaries, roll the
#: highlights off (hable keeps detail in clouds and lamps), back to video. 100 nits is the reference white of SDR.
_TONE_MAP = (
    "zscale=transfer=linear:npl=100",
    "format=gbrpf32le",
    "zscale=primaries=bt709",
    "tonemap=tonemap=hable:desat=0",
    "zscale=transfer=bt709:matrix=bt709:range=limited",
)


#: Times at most this much outside the plan are rounding or a decoder's guess, beyond it they are damage.
_STRAY_S = Fraction(1)


def chunk_graph(plan: Plan, chunk: ChunkPlan, *, look: bool) -> str:
    """The graph of one chunk. Its outputs are labelled by rendition name, and `look` for the analysis pictures."""
    source = f"[0:{plan.video_stream_index}]"
    said = ",".join([*_mended(plan), _say(plan.picture.color)])
    if not look or plan.analysis is None:
        return ";".join([f"{source}{','.join([said, *_timeline(plan, chunk)])}[r0]", *_rungs(plan)])
    return ";".join(
        [
            f"{source}{said},split=2[main][tap]",
            f"[tap]{','.join(_look(plan, plan.analysis, chunk))}[look]",
            f"[main]{','.join(_timeline(plan, chunk))}[r0]",
            *_rungs(plan),
        ]
    )


def sound_graphs(plan: Plan, audio: AudioPlan) -> tuple[str, str]:
    """Two graphs in a row: the first makes one format of whatever comes, the second puts it on the picture's clock.

    ffmpeg begins a graph anew when its input's format changes, and a graph that fills up from zero would do so twice.
    """
    layout = "mono" if audio.channels == 1 else "stereo"
    samples = round(plan.duration * audio.sample_rate_hz)
    origin = f"asetpts=PTS-({plan.origin.numerator}/{plan.origin.denominator})/TB"
    near = f"aselect='between(t,{-_STRAY_S},{math.ceil(plan.duration) + _STRAY_S})'"
    plain = [
        f"[0:{audio.stream_index}]{origin}",
        # One stray packet would be the end of the sound: silence up to where it claims to be.
        *([near] if plan.strays else []),
        f"aresample={audio.sample_rate_hz}",
        f"aformat=sample_fmts=fltp:channel_layouts={layout}",
        # Silence after the end, more than enough. Here, because the end of a file does not get through to a second
        # graph's filters: they are stopped with what they hold.
        f"apad=pad_len={samples}[plain]",
    ]
    timed = [
        # first_pts=0 fills or cuts the beginning, async=1 fills holes: sound never slides under the picture. From 40 ms
        # on, because lips are seen to be off from there (EBU R 37); less is jitter, and mending that would crackle.
        "[plain]aresample=async=1:first_pts=0:min_hard_comp=0.04",
        f"atrim=end_sample={samples}[{audio.name}]",
    ]
    return ",".join(plain), ",".join(timed)


def _mended(plan: Plan) -> Iterator[str]:
    """What is done to damaged clocks before anybody reads them."""
    if plan.strays:
        # In the middle of the source one stray picture would freeze all that is shown after it.
        end_pts = plan.origin_pts + math.ceil((plan.duration + _STRAY_S) / plan.time_base)
        yield f"select='between(pts,{plan.origin_pts - math.ceil(_STRAY_S / plan.time_base)},{end_pts})'"
    if plan.counted_rate:
        first_pts = plan.origin_pts + round(plan.lead_frames / plan.picture.frame_rate / plan.time_base)
        ticks = 1 / (plan.counted_rate * plan.time_base)
        yield f"setpts='{first_pts}+round(N*{ticks.numerator}/{ticks.denominator})'"


def first_frame_time(plan: Plan, chunk: ChunkPlan) -> Fraction:
    """When the first picture of `chunk` is shown, in seconds on the output's clock."""
    return chunk.start_frame / plan.picture.frame_rate


def end_frame(plan: Plan, chunk: ChunkPlan) -> int:
    """One past the last output picture of `chunk`."""
    return plan.output_frames if chunk.end_frame is None else chunk.end_frame


def _timeline(plan: Plan, chunk: ChunkPlan) -> Iterator[str]:
    """Source time to output pictures: exactly [start_frame, end_frame), pts counting pictures."""
    rate = plan.picture.frame_rate
    # Integers in the source's own time base: a float of seconds would move pictures over a boundary.
    yield f"setpts=PTS-({plan.origin_pts})"
    if plan.picture.deinterlace:
        # Idle, unless the size changes midway: the deinterlacer could not follow.
        yield f"scale={plan.picture.upright_width_px}:{plan.picture.upright_height_px}:interl=1"
        # A picture for each field: that is the motion that was filmed. Only pictures flagged as interlaced, because
        # broadcasts mix.
        yield "bwdif=mode=send_field:parity=auto:deint=interlaced"
    # start_time holds the first picture back to zero; the filter's time base becomes 1 / rate, so trim counts pictures.
    start = f"{chunk.start_frame}*{rate.denominator}/{rate.numerator}"
    yield f"fps=fps={rate.numerator}/{rate.denominator}:start_time={start}:round=near"
    if chunk.end_frame is None:
        # One more than needed covers the last picture's rounded length; a real loss still shows as missing pictures.
        yield f"tpad=stop_mode=clone:stop={plan.tail_frames + 1}"
    yield f"trim=start_pts={chunk.start_frame}:end_pts={end_frame(plan, chunk)}"


def _rungs(plan: Plan) -> Iterator[str]:
    """Each rung is scaled from the one above: cheaper than from the source, and no picture is scaled up."""
    last = len(plan.renditions) - 1
    for number, rung in enumerate(plan.renditions):
        steps = _convert(plan, rung) if number == 0 else _resize(rung)
        chain = f"[r{number}]{','.join(steps)}"
        yield f"{chain}[{rung.name}]" if number == last else f"{chain},split=2[{rung.name}][r{number + 1}]"


def _convert(plan: Plan, rung: RenditionPlan) -> Iterator[str]:
    color, tone_map = plan.picture.color, plan.picture.tone_map
    yield f"scale={rung.width_px}:{rung.height_px}:flags=bicubic{_levels(color)}"
    if tone_map:
        yield from _TONE_MAP
    # Every size is square pixels by plan; without this a rounded size leaves 135:136 in the stream.
    yield "setsar=1"
    # 8-bit 4:2:0 is what every decoder in hardware plays.
    yield "format=yuv420p"
    if color.rgb:
        yield _say(ColorPlan())


def _resize(rung: RenditionPlan) -> Iterator[str]:
    yield f"scale={rung.width_px}:{rung.height_px}:flags=bicubic"
    yield "setsar=1"


def _look(plan: Plan, analysis: AnalysisPlan, chunk: ChunkPlan) -> Iterator[str]:
    if analysis.pts_shift:
        yield f"setpts=PTS+{analysis.pts_shift}"
    yield _bounds(plan, analysis, chunk)
    if plan.picture.deinterlace:
        # One field is a still without combing, for nothing; at this size its lines suffice.
        yield "field=type=top"
    color = plan.picture.color
    yield f"scale={analysis.width_px}:{analysis.height_px}:flags=bilinear{_levels(color)}"
    if plan.picture.tone_map:
        yield from _TONE_MAP
    yield "format=yuv420p"


def _bounds(plan: Plan, analysis: AnalysisPlan, chunk: ChunkPlan) -> str:
    """Source pictures of this chunk by their own pts. The first chunk has no beginning, the last no end."""
    rate = plan.picture.frame_rate
    # The muxer of the pipe (NUT) refuses the whole stream for one negative pts.
    bounds = ["start_pts=0"]
    if chunk.start_frame:
        bounds = [f"start_pts={_tick(plan, chunk.start_frame / rate) + analysis.pts_shift}"]
    if chunk.end_frame is not None:
        bounds.append(f"end_pts={_tick(plan, chunk.end_frame / rate) + analysis.pts_shift}")
    return f"trim={':'.join(bounds)}"


def _tick(plan: Plan, time_s: Fraction) -> int:
    """First source tick whose picture belongs at or after `time_s` of the output: fps takes the nearest picture."""
    half_picture = 1 / plan.picture.frame_rate / 2
    ticks = (time_s - half_picture) / plan.time_base
    return plan.origin_pts - int(-ticks // 1)


def _say(color: ColorPlan) -> str:
    levels = "full" if color.full_range else "limited"
    if color.rgb:
        return "setparams=range=full"
    tags = f"color_primaries={color.primaries}:color_trc={color.transfer}:colorspace={color.matrix}"
    return f"setparams=range={levels}:{tags}"


def _levels(color: ColorPlan) -> str:
    if color.rgb:
        return ":out_color_matrix=bt709:out_range=limited"
    return ":in_range=full:out_range=limited" if color.full_range else ""
