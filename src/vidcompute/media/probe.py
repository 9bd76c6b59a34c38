"""Measures a source: packet-exact, by content alone, decoding no more than the first pictures.

`probe` touches untrusted bytes, so it runs only inside a boxed child. It is given an open file and no name:
what the file claims to be by its name counts for nothing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from fractions import Fraction

import av
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.subtitles.stream import SubtitleStream as AvSubtitleStream
from av.video.stream import VideoStream as AvVideoStream

from vidcompute.domain.media import AudioStream, Probe, SubtitleStream
from vidcompute.errors import EncryptedMedia, LimitExceeded, NoVideo, UnsupportedMedia
from vidcompute.media import eager, sniff
from vidcompute.media.demuxers import ANALYZE_US, PROBE_BYTES, SOUND_DEMUXERS, VIDEO_DEMUXERS
from vidcompute.media.measure import codec_name, measure_audio, measure_video
from vidcompute.media.scan import ProbeLimits, Scan, Tally, scan

# Said aloud so that nobody removes an import that is there for its effect.
assert eager.LOADED

_TEXT_SUBTITLES = {"subrip", "ass", "ssa", "mov_text", "webvtt", "text", "ttml", "sami", "microdvd"}
_ENCRYPTED_TAGS = {"encv", "enca", "drmi", "drms"}
_STILL_BRANDS = {"avif", "heic", "heix", "mif1"}
_NOT_MOVING = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image


def probe(fd: int, limits: ProbeLimits | None = None, *, clock: Callable[[], float] = time.monotonic) -> Probe:
    """What the file open at `fd` holds. The file must be seekable; its offset is moved.

    Raises UnsupportedMedia, NoVideo, EncryptedMedia or LimitExceeded, each saying what was found instead.
    """
    limits = limits or ProbeLimits()
    size_bytes = os.fstat(fd).st_size
    if size_bytes > limits.max_size_bytes:
        raise LimitExceeded(
            f"The file has {size_bytes} bytes; the limit is {limits.max_size_bytes} (MAX_UPLOAD_BYTES)."
        )
    with _open(fd, size_bytes) as container:
        if len(container.streams) > limits.max_streams:
            text = f"The file has {len(container.streams)} streams; the limit is {limits.max_streams} (MAX_STREAMS)."
            raise LimitExceeded(text)
        moving = _moving(container, limits)
        scanned = scan(container, [*moving, *container.streams.audio], limits, clock=clock)
        return _measured(container, scanned, moving, size_bytes=size_bytes, limits=limits)


def _open(fd: int, size_bytes: int) -> InputContainer:
    os.lseek(fd, 0, os.SEEK_SET)
    options = {
        "fd": str(fd),
        "protocol_whitelist": "fd",
        "format_whitelist": f"{VIDEO_DEMUXERS},{SOUND_DEMUXERS}",
        "probesize": str(PROBE_BYTES),
        "analyzeduration": str(ANALYZE_US),
    }
    try:
        return av.open("fd:", options=options, metadata_errors="replace")
    except (av.FFmpegError, ValueError) as error:
        head = os.pread(fd, sniff.HEAD_BYTES, 0)
        raise sniff.look(head, size_bytes).error() from error


def _moving(container: InputContainer, limits: ProbeLimits) -> list[AvVideoStream]:
    """Video streams that move and that we have a decoder for."""
    moving = [stream for stream in container.streams.video if not stream.disposition & _NOT_MOVING]
    if not moving:
        raise NoVideo(_what_else(container))
    for stream in container.streams:
        if _tag(stream) in _ENCRYPTED_TAGS:
            raise EncryptedMedia(f"Stream {stream.index} is encrypted (sample entry {_tag(stream)!r}).")
    known = [stream for stream in moving if _decodable(stream)]
    if not known:
        raise UnsupportedMedia(
            f"No decoder knows the codec of video stream {moving[0].index}, or its header is damaged."
        )
    for stream in known:
        _check_size(stream.width, stream.height, limits)
    return known


def _check_size(width_px: int, height_px: int, limits: ProbeLimits) -> None:
    if width_px * height_px > limits.max_pixels:
        text = f"The picture is {width_px} × {height_px}; the limit is {limits.max_pixels} pixels (MAX_PIXELS)."
        raise LimitExceeded(text)


def _what_else(container: InputContainer) -> str:
    sounds = ", ".join(codec_name(stream) for stream in container.streams.audio)
    cover = " and cover art" if container.streams.video else ""
    return (
        f"The file holds only sound ({sounds}){cover}." if sounds else "The file holds no moving picture and no sound."
    )


def _decodable(stream: Stream) -> bool:
    """Whether there is a decoder: PyAV has no codec context for a codec it does not know, whatever its types say."""
    return getattr(stream, "codec_context", None) is not None


def _tag(stream: Stream) -> str:
    context = getattr(stream, "codec_context", None)
    try:
        return str(context.codec_tag) if context is not None else ""
    except UnicodeDecodeError:  # PyAV decodes the four bytes as ASCII, and a damaged header has any
        return ""


def _measured(
    container: InputContainer, scanned: Scan, moving: list[AvVideoStream], *, size_bytes: int, limits: ProbeLimits
) -> Probe:
    best = max((scanned.tallies[stream.index] for stream in moving), key=_worth)
    if best.encrypted:
        raise EncryptedMedia(f"The samples of video stream {best.stream.index} are encrypted (Common Encryption).")
    container_name = container.format.name.split(",")[0]
    video = measure_video(best, limits)
    brand = container.metadata.get("major_brand", "").strip()
    still = brand if brand in _STILL_BRANDS else container_name
    if still in {"gif", "apng", *_STILL_BRANDS} and video.frames == 1:
        raise NoVideo(f"The file is a still image ({still.upper()} with one picture).")
    audio = tuple(
        measure_audio(scanned.tallies[stream.index]) for stream in container.streams.audio if _decodable(stream)
    )
    start = min([video.start, *(stream.start for stream in audio)])
    end = max([video.start + video.duration, *(stream.start + stream.duration for stream in audio)])
    if end - start > limits.max_duration_s:
        lasts_s, limit_s = float(end - start), limits.max_duration_s
        raise LimitExceeded(f"The file lasts {lasts_s:.0f} s; the limit is {limit_s:.0f} s (MAX_DURATION_S).")
    return Probe(
        container=container_name,
        size_bytes=size_bytes,
        duration=end - start,
        video=video,
        audio=audio,
        subtitles=tuple(_subtitle(stream) for stream in container.streams.subtitles),
        warnings=_warnings(container, scanned, found=end - start, audio=audio, moving=len(moving)),
        clock_jumps=scanned.jumps,
    )


def _worth(tally: Tally) -> int:
    """The stream with most to see wins: area times pictures."""
    stream = tally.stream
    assert isinstance(stream, AvVideoStream)
    return stream.width * stream.height * len(tally.pts)


def _subtitle(stream: AvSubtitleStream) -> SubtitleStream:
    codec = codec_name(stream)
    return SubtitleStream(
        index=stream.index,
        codec=codec,
        language=stream.language or "und",
        title=stream.metadata.get("title", ""),
        text=codec in _TEXT_SUBTITLES,
    )


def _warnings(
    container: InputContainer, scanned: Scan, *, found: Fraction, audio: tuple[AudioStream, ...], moving: int
) -> tuple[str, ...]:
    warnings = []
    promised = Fraction(container.duration or 0, 1_000_000)
    if scanned.broken or promised - found > max(Fraction(1, 2), found / 20):
        found_text = f"{float(found):.1f} s of it were found"
        promise = f"The header promises {float(promised):.1f} s" if promised > found else "The file is damaged"
        warnings.append(f"{promise}; {found_text}. The file was probably cut off.")
    if scanned.jumps:
        warnings.append(
            f"The file's clock jumps {scanned.jumps} time(s), as in joined recordings: the parts were put end to end."
        )
    strays = sum(tally.strays for tally in scanned.tallies.values())
    if strays:
        warnings.append(f"{strays} packet(s) have damaged time stamps, far outside the rest, and were left out.")
    if moving > 1:
        warnings.append(f"The file has {moving} video streams; the one with most to see was taken.")
    sounding = sum(1 for stream in audio if stream.duration > 0 and stream.channels > 0)
    silent = len(container.streams.audio) - sounding
    if silent:
        warnings.append(f"{silent} sound track(s) hold nothing that can be decoded and were left out.")
    return tuple(warnings)
