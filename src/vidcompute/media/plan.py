"""From what was measured and what was asked to what will be done: pure, deterministic, hashed.

The timeline. Every output starts at zero. Zero is where the first of picture and sound begins, moved back to
the grid of the pictures, so that a source at a constant rate keeps its pictures one to one: picture n is shown
at (n + lead) / rate exactly, and sound keeps its distance to it to the sample.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from fractions import Fraction

from vidcompute import wire
from vidcompute.domain import ladder
from vidcompute.domain.job import FrameMode, JobSpec, Packaging
from vidcompute.domain.media import AudioStream, Probe, Scan, Transfer, VideoStream
from vidcompute.domain.plan import AnalysisPlan, AudioPlan, ChunkPlan, ColorPlan, PicturePlan, Plan, RenditionPlan
from vidcompute.media import rates

#: Bumped whenever the same plan would make other bytes: it is part of every content key.
VERSION = 2


@dataclass(frozen=True, slots=True)
class PlanSettings:
    """What an operator may change about planning."""

    ladder: ladder.Ladder = ladder.DEFAULT
    #: HLS authoring rules end at 60 pictures a second; below 1 players starve between pictures.
    max_frame_rate: Fraction = Fraction(60)
    min_frame_rate: Fraction = Fraction(1)
    gop_s: Fraction = Fraction(2)
    gops_per_segment: int = 3
    #: Long side of the analysis pictures, in pixels.
    analysis_px: int = 640
    max_anchors_per_s: float = 2.0
    #: A picture is held for sound that begins this much before it; a longer lead is a broken clock.
    max_lead_s: Fraction = Fraction(60)
    #: Sound that outlasts the picture by less than this is cut, by more is kept under the last picture.
    min_tail_s: Fraction = Fraction(1, 2)
    max_audio: int = 8
    #: A variable-rate source whose pictures would be repeated more than this on average is not worth its bursts.
    max_repeats: int = 60


def make_plan(probe: Probe, spec: JobSpec, settings: PlanSettings | None = None) -> Plan:
    """The plan of a job. Raises nothing: whatever was not done as asked is in `warnings`."""
    settings = settings or PlanSettings()
    picture = picture_plan(probe.video, settings)
    rate = picture.frame_rate
    audio = _audible(probe, settings)
    lead, lead_warning = lead_frames(probe.video, audio, rate=rate, limit_s=settings.max_lead_s)
    origin = probe.video.start - lead / rate
    shown = max(1, _nearest(probe.video.duration * rate))
    tail = _tail_frames(audio, end=origin + (lead + shown) / rate, rate=rate, settings=settings)
    fitted = _fit(probe.video, spec, rate=rate, settings=settings)
    gop = max(1, _nearest(settings.gop_s * rate))
    frames = lead + shown + tail
    return Plan(
        version=VERSION,
        video_stream_index=probe.video.index,
        origin=origin,
        duration=frames / rate,
        source_frames=probe.video.frames,
        output_frames=frames,
        picture=picture,
        gop_frames=gop,
        segment_frames=gop * settings.gops_per_segment,
        renditions=_renditions(fitted, spec),
        audio=tuple(_audio_plan(number, stream) for number, stream in enumerate(audio)),
        # The grid depends on the source only; one chunk until long files are spread over machines.
        chunks=(ChunkPlan(index=0, start_frame=0, end_frame=None),),
        analysis=_analysis(probe.video, spec, settings) if spec.enable_llm else None,
        warnings=(*probe.warnings, *fitted.warnings, *lead_warning, *_notices(probe, spec, settings)),
        time_base=probe.video.time_base,
        origin_pts=probe.video.start_pts - _nearest(lead / rate / probe.video.time_base),
        lead_frames=lead,
        tail_frames=tail,
        container=probe.container,
        joined=probe.clock_jumps > 0,
        counted_rate=probe.video.frame_rate if probe.video.counted else Fraction(0),
        strays=probe.video.strays > 0 or any(stream.strays for stream in audio),
    )


def plan_hash(plan: Plan) -> str:
    """SHA-256 (hex) of the plan's canonical JSON: sorted keys, no spaces. Part of every content key."""
    canonical = json.dumps(wire.plain(plan), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def picture_plan(video: VideoStream, settings: PlanSettings) -> PicturePlan:
    """Deinterlacing, tone mapping, rate and colour for this source."""
    deinterlace = video.scan is Scan.INTERLACED
    turned = video.rotation in {90, 270}
    rate = output_rate(video, settings)
    return PicturePlan(
        deinterlace=deinterlace,
        tone_map=video.transfer is not Transfer.SDR,
        frame_rate=rate,
        source_is_cfr=not video.variable_rate and not deinterlace and rate == video.frame_rate,
        color=color_plan(video),
        upright_width_px=video.height_px if turned else video.width_px,
        upright_height_px=video.width_px if turned else video.height_px,
    )


def output_rate(video: VideoStream, settings: PlanSettings) -> Fraction:
    """The constant output rate: the source's own where it has one, within the settings' bounds.

    A field becomes a picture of its own (25i → 50p): that is what the eye saw on a tube. A rate over the
    maximum is divided by a whole number, so that every n-th picture is taken and motion stays even.
    """
    rate = video.frame_rate
    if video.variable_rate:
        # The usual distance is what the camera meant; the mean guards against losing pictures of bursts.
        rate = max(video.usual_rate, rates.at_least(video.frame_rate))
        if rate > settings.max_repeats * video.frame_rate:
            rate = rates.at_least(video.frame_rate)
        rate = min(rate, settings.max_frame_rate)
    if video.scan is Scan.INTERLACED:
        rate *= 2
    if rate > settings.max_frame_rate:
        rate /= math.ceil(rate / settings.max_frame_rate)
    if rate < settings.min_frame_rate:
        rate *= math.ceil(settings.min_frame_rate / rate)
    return rate


def color_plan(video: VideoStream) -> ColorPlan:
    """What the samples mean. What the source leaves open is filled in by size, as every player does."""
    rgb = video.pixel_format.startswith(("rgb", "bgr", "gbr", "pal8", "argb", "abgr", "0rgb", "0bgr"))
    guess = "bt709" if rgb or video.height_px >= 720 or video.width_px >= 1280 else "smpte170m"
    # A matrix that does not fit YUV samples (broken headers say "gbr") would paint browsers green and pink.
    matrix = video.color_matrix if video.color_matrix in {"bt709", "bt470bg", "smpte170m", "bt2020nc"} else guess
    known = {"bt709", "bt470bg", "bt470m", "smpte170m", "bt2020", "smpte432"}
    primaries = video.color_primaries if video.color_primaries in known else _primaries_of(matrix)
    transfers = {"bt709", "smpte170m", "bt470m", "bt470bg", "iec61966-2-1", "bt2020-10", "bt2020-12"}
    transfer = video.color_transfer if video.color_transfer in transfers else "bt709"
    if video.transfer is not Transfer.SDR:
        transfer = "smpte2084" if video.transfer is Transfer.PQ else "arib-std-b67"
    return ColorPlan(
        matrix="bt709" if rgb else matrix,
        primaries=primaries,
        transfer=transfer,
        full_range=video.full_range or rgb,
        rgb=rgb,
    )


def lead_frames(
    video: VideoStream, audio: tuple[AudioStream, ...], *, rate: Fraction, limit_s: Fraction
) -> tuple[int, tuple[str, ...]]:
    """Output pictures before the first source picture, because sound begins earlier; and a warning if it is cut."""
    gap = video.start - min((stream.start for stream in audio), default=video.start)
    if gap > limit_s:
        text = f"The sound begins {float(gap):.0f} s before the picture; the part before the picture was left out."
        return 0, (text,)
    # To the nearest picture: less than half a picture of sound is lost, and a gap of 3 ms doubles no picture.
    return max(0, _nearest(gap * rate)), ()


def _tail_frames(audio: tuple[AudioStream, ...], *, end: Fraction, rate: Fraction, settings: PlanSettings) -> int:
    over = max((stream.start + stream.duration for stream in audio), default=end) - end
    return math.ceil(over * rate) if over > settings.min_tail_s else 0


def _primaries_of(matrix: str) -> str:
    return {"bt2020nc": "bt2020"}.get(matrix, matrix)


def _audible(probe: Probe, settings: PlanSettings) -> tuple[AudioStream, ...]:
    return tuple(stream for stream in probe.audio if stream.channels > 0 and stream.duration > 0)[: settings.max_audio]


def _fit(video: VideoStream, spec: JobSpec, *, rate: Fraction, settings: PlanSettings) -> ladder.Fitted:
    picture = ladder.Picture(
        width_px=video.display_width_px,
        height_px=video.display_height_px,
        frame_rate=rate,
        codec=video.codec,
        bitrate_bps=video.bitrate_bps,
    )
    wish = ladder.Wish(outputs=spec.outputs, codec=spec.codec, preset=spec.preset, bitrate_bps=spec.bitrate_bps)
    return ladder.fit(settings.ladder, picture=picture, wish=wish)


def _renditions(fitted: ladder.Fitted, spec: JobSpec) -> tuple[RenditionPlan, ...]:
    return tuple(
        RenditionPlan(
            name=f"v{number}",
            width_px=rung.width_px,
            height_px=rung.height_px,
            codec=rung.codec,
            preset=spec.preset,
            crf=rung.crf,
            max_bitrate_bps=rung.max_bitrate_bps,
            target_bitrate_bps=rung.target_bitrate_bps,
        )
        for number, rung in enumerate(fitted.rungs)
    )


def _audio_plan(number: int, stream: AudioStream) -> AudioPlan:
    # Surround is folded to stereo for now: browsers decode it, but not all of them play it.
    channels = min(stream.channels, 2)
    return AudioPlan(
        name=f"a{number}",
        stream_index=stream.index,
        codec="aac",
        bitrate_bps=64_000 * channels,
        channels=channels,
        # The two rates that every device plays; a resampled 8 kHz call is still an 8 kHz call.
        sample_rate_hz=44_100 if stream.sample_rate_hz % 11_025 == 0 else 48_000,
        language=stream.language,
        title=stream.title,
        default=stream.default,
        start=stream.start,
    )


def _analysis(video: VideoStream, spec: JobSpec, settings: PlanSettings) -> AnalysisPlan:
    width_px, height_px = video.display_width_px, video.display_height_px
    scale = min(Fraction(1), Fraction(settings.analysis_px, max(width_px, height_px)))
    side = ladder.scaled(width_px, height_px, scale=scale)
    by_rate = spec.frames.mode is FrameMode.FPS and spec.frames.fps
    return AnalysisPlan(
        width_px=side[0],
        height_px=side[1],
        mode=spec.frames.mode,
        max_anchors_per_s=float(spec.frames.fps or 1.0) if by_rate else settings.max_anchors_per_s,
        ocr=spec.frames.ocr,
        detail=spec.frames.detail,
        prompt=spec.frames.prompt,
        time_base=video.time_base,
        # A tick before the first picture may still come (a decoder's guess): ten seconds of room.
        pts_shift=0 if video.start_pts >= 0 else -video.start_pts + math.ceil(10 / video.time_base),
        # Tone mapping ends in BT.709, whatever it began with.
        matrix=color_plan(video).matrix if video.transfer is Transfer.SDR else "bt709",
    )


def _notices(probe: Probe, spec: JobSpec, settings: PlanSettings) -> tuple[str, ...]:
    notices = []
    if spec.quality_vmaf is not None:
        notices.append("A VMAF target is not supported yet; constant quality was used instead.")
    # Asked for and not done: to say nothing would read as done.
    if Packaging.MP4 in spec.packaging:
        notices.append("Single MP4 files are not made yet; the HLS and DASH streams were published.")
    if spec.deadline_s is not None:
        notices.append("Deadlines are not kept yet; the job ran without one.")
    if spec.webhook_url is not None:
        notices.append("Webhooks are not sent yet; follow the job's log or ask for its state.")
    surround = [stream for stream in probe.audio if stream.channels > 2]
    if surround:
        notices.append(f"{len(surround)} surround track(s) were folded to stereo.")
    if len(probe.audio) > settings.max_audio:
        notices.append(f"Only the first {settings.max_audio} of {len(probe.audio)} audio tracks were kept.")
    return tuple(notices)


def _nearest(value: Fraction) -> int:
    """Halves go up, as the fps filter rounds."""
    return math.floor(value + Fraction(1, 2))
