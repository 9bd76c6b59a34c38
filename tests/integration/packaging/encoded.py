"""Encoder output as chunk and sound tasks leave it, from generated clips: tiny, with cuts, B-frames and sound."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg

from tests.unit.media.synthetic import RATE, plan_for
from vidcompute.domain.job import Codec
from vidcompute.domain.plan import AudioPlan, Plan
from vidcompute.media.package import PackageInputs, package

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()

#: Two shots, so that the encoder puts keyframes of its own off the grid; the second begins at picture 77.
PICTURE = (
    "testsrc2=s=128x72:r={rate},trim=end_frame=77,format=yuv420p[a];"
    "mandelbrot=s=128x72:r={rate},format=yuv420p[b];[a][b]concat=n=2,trim=start_frame={start}:end_frame={end}"
)
ENCODERS: Mapping[Codec, Sequence[str]] = {
    Codec.H264: ["-c:v", "libx264", "-preset", "veryfast", "-crf", "32", "-bf", "3"],
    Codec.HEVC: ["-c:v", "libx265", "-preset", "ultrafast", "-tag:v", "hvc1", "-x265-params", "log-level=error:info=0"],
    Codec.AV1: ["-c:v", "libsvtav1", "-preset", "11"],
    Codec.VP9: ["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "100k"],
}
FRAGMENTED = "+cmaf+empty_moov+delay_moov"


def ffmpeg(*arguments: str, quiet: bool = True) -> subprocess.CompletedProcess[bytes]:
    """Runs ffmpeg; a failure shows what it said."""
    argv = [FFMPEG, "-hide_banner", "-nostdin", "-loglevel", "error", "-y", *arguments]
    done = subprocess.run(argv, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()
    if quiet and "libsvtav1" not in arguments:  # the AV1 encoder prints what it likes
        assert done.stderr == b"", done.stderr.decode()
    return done


def encode_chunk(
    path: Path, *, start: int, end: int, codec: Codec = Codec.H264, scale: str = "128:72", rate: Fraction = RATE
) -> Path:
    """Pictures [start, end) as one fragment per GOP, with decode times that go on from the chunk before."""
    graph = PICTURE.format(rate=rate, start=start, end=end) + f",scale={scale},setsar=1[v]"
    ffmpeg(
        *("-filter_complex", graph, "-map", "[v]", "-copyts"),
        *ENCODERS[codec],
        *("-pix_fmt", "yuv420p", "-flags", "+cgop", "-g", "300"),
        # n starts anew in each chunk; chunks start on the GOP grid
        *("-force_key_frames", "expr:not(mod(n,30))"),
        *("-map_metadata", "-1", "-fflags", "+bitexact", "-threads", "1"),
        *("-enc_time_base", f"1:{rate.numerator}", "-video_track_timescale", str(rate.numerator)),
        *("-f", "mp4", "-movflags", f"{FRAGMENTED}+frag_keyframe+frag_discont", "-use_editlist", "0"),
        *("-write_tmcd", "0", str(path)),
    )
    return path


def encode_sound(path: Path, *, seconds: float, codec: str = "aac", source: str = "sine=440:r=48000") -> Path:
    """Sound with its priming in the edit list, in short fragments."""
    ffmpeg(
        *("-f", "lavfi", "-i", source, "-t", f"{seconds:.6f}"),
        *("-c:a", codec, "-b:a", "96k", "-ac", "2", "-map_metadata", "-1", "-fflags", "+bitexact"),
        *("-f", "mp4", "-movflags", FRAGMENTED, "-use_editlist", "1", "-frag_duration", "100000", str(path)),
    )
    return path


@dataclass(frozen=True)
class Encoded:
    """A plan and the files that tasks made for it."""

    plan: Plan
    video: Mapping[str, Sequence[Path]]
    audio: Mapping[str, Path] = field(default_factory=dict)

    def package(self, out: Path):
        return package(PackageInputs(self.plan, self.video, self.audio), out)


def encode(
    folder: Path,
    *,
    frames: int,
    chunk_starts: Sequence[int] = (0,),
    rungs: Sequence[tuple[str, int, int]] = (("v0", 128, 72),),
    audio: Sequence[AudioPlan] = (),
    codec: Codec = Codec.H264,
    rate: Fraction = RATE,
) -> Encoded:
    """Everything for `frames` pictures: GOPs of 30 pictures and segments of 60."""
    plan = plan_for(
        frames,
        chunk_starts=chunk_starts,
        rungs=rungs,
        audio=audio,
        rate=rate,
        codec=codec,
        gop_frames=30,
        segment_frames=60,
    )
    video = {
        name: [
            encode_chunk(
                folder / f"{name}_{chunk.index}.mp4",
                start=chunk.start_frame,
                end=chunk.end_frame or frames,
                codec=codec,
                scale=f"{width}:{height}",
                rate=rate,
            )
            for chunk in plan.chunks
        ]
        for name, width, height in rungs
    }
    sounds = {
        track.name: encode_sound(folder / f"{track.name}.mp4", seconds=float(frames / rate), codec=track.codec)
        for track in audio
    }
    return Encoded(plan, video, sounds)
