"""Small clips with one oddity each, made by ffmpeg from nothing, and the real ones that MEDIA names.

Every recipe is a few frames of a test pattern: they prove mechanics. What real cameras do is in MEDIA.
"""

from __future__ import annotations

import csv
import subprocess
from dataclasses import dataclass
from pathlib import Path

_PATTERN = "testsrc2=size={size}:rate={rate}:duration={seconds}"
_TONE = "sine=frequency=440:sample_rate=48000:duration={seconds}"
_X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "30", "-bf", "2")
_REORDERED = ("-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-bf", "3")


@dataclass(frozen=True)
class Recipe:
    """`before` goes in front of the inputs, `after` behind them; `{out}` is the file."""

    suffix: str
    size: str = "320x180"
    rate: str = "30"
    seconds: float = 1.0
    sound: bool = False
    after: tuple[str, ...] = _X264


RECIPES = {
    "plain": Recipe(".mp4", rate="30000/1001", seconds=3.003, sound=True, after=(*_X264, "-c:a", "aac")),
    "silent": Recipe(".mp4", rate="24"),
    "odd": Recipe(".webm", size="161x121", after=("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8")),
    "squeezed": Recipe(".mp4", size="180x144", rate="25", after=(*_X264, "-vf", "setsar=16/15")),
    "tiny": Recipe(".mp4", size="2x2", rate="5"),
    "one_frame": Recipe(".mp4", rate="25", after=(*_X264, "-frames:v", "1")),
    "fields": Recipe(
        ".ts",
        size="352x288",
        rate="50",
        after=("-vf", "interlace", "-c:v", "mpeg2video", "-flags", "+ildct+ilme", "-q:v", "5"),
    ),
    "gif": Recipe(".gif", size="120x90", rate="10", after=()),
    "still_gif": Recipe(".gif", size="120x90", after=("-frames:v", "1")),
    "late_picture": Recipe(
        ".mkv", rate="25", sound=True, after=("-vf", "setpts=PTS+0.5/TB", *_X264, "-c:a", "aac", "-fps_mode", "vfr")
    ),
    "late_sound": Recipe(
        ".mkv", rate="25", seconds=2, sound=True, after=(*_X264, "-af", "asetpts=PTS+0.5/TB", "-c:a", "pcm_s16le")
    ),
    "long_sound": Recipe(".mkv", rate="25", seconds=3, sound=True, after=("-vf", "trim=end=1", *_X264, "-c:a", "aac")),
    "surround": Recipe(".mkv", sound=True, after=(*_X264, "-af", "aformat=channel_layouts=5.1", "-c:a", "ac3")),
    "uneven": Recipe(
        ".mkv",
        rate="30",
        seconds=2,
        after=("-vf", "select='not(eq(mod(n,7),3)+eq(mod(n,11),5))'", *_X264, "-fps_mode", "vfr"),
    ),
    "fast": Recipe(".mp4", size="160x90", rate="120"),
    "slow": Recipe(".mkv", size="160x90", rate="1/4", seconds=12),
    "hdr": Recipe(
        ".mp4",
        after=(
            *("-vf", "format=yuv420p10le,setparams=color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc"),
            *("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error", "-tag:v", "hvc1"),
        ),
    ),
    "full_range": Recipe(".mp4", after=("-vf", "scale=out_range=full,format=yuvj420p", "-c:v", "libx264", "-g", "30")),
    "broadcast": Recipe(".ts", rate="25", seconds=2, sound=True, after=(*_X264, "-c:a", "ac3")),
    "before_zero": Recipe(".mkv", rate="25", sound=True, after=(*_X264, "-c:a", "pcm_s16le", "-output_ts_offset", "5")),
    "sound_only": Recipe(".m4a", sound=True, after=("-map", "1:a", "-c:a", "aac")),
    # AVI has no clock but the packet's number, and these pictures are shown in another order.
    "decoding_order": Recipe(".avi", rate="25", seconds=2, sound=True, after=(*_REORDERED, "-c:a", "pcm_s16le")),
    # A program stream stamps a packet now and then, not each picture.
    "sparse_stamps": Recipe(".mpg", rate="25", seconds=2, sound=True, after=(*_REORDERED, "-c:a", "mp2", "-f", "vob")),
    "streaming": Recipe(".flv", rate="25", seconds=2, sound=True, after=(*_X264, "-c:a", "libmp3lame", "-ar", "44100")),
    "hidden_frames": Recipe(
        ".webm", seconds=2, after=("-c:v", "libvpx", "-auto-alt-ref", "1", "-lag-in-frames", "16", "-deadline", "good")
    ),
}


class Kitchen:
    """Makes each clip once, in a folder of its own."""

    def __init__(self, folder: Path, ffmpeg: Path) -> None:
        self._folder = folder
        self.ffmpeg = ffmpeg

    def clip(self, name: str) -> Path:
        """The clip of `RECIPES[name]`."""
        recipe = RECIPES[name]
        path = self._folder / f"{name}{recipe.suffix}"
        if not path.exists():
            values = {"size": recipe.size, "rate": recipe.rate, "seconds": recipe.seconds}
            inputs = ["-f", "lavfi", "-i", _PATTERN.format(**values)]
            if recipe.sound:
                inputs += ["-f", "lavfi", "-i", _TONE.format(**values)]
            self.run([*inputs, *recipe.after, str(path)])
        return path

    def turned(self, name: str, degrees: int) -> Path:
        """`name` with a display matrix that asks to be turned by so many degrees counter-clockwise."""
        path = self._folder / f"{name}_turned_{degrees}.mp4"
        if not path.exists():
            self.run(["-display_rotation", str(degrees), "-i", str(self.clip(name)), "-c", "copy", str(path)])
        return path

    def joined(self, name: str, *parts: Path) -> Path:
        """The bytes of `parts` one after the other, as broadcasters join recordings."""
        path = self._folder / name
        path.write_bytes(b"".join(part.read_bytes() for part in parts))
        return path

    def run(self, args: list[str]) -> None:
        """ffmpeg, quietly."""
        command = [str(self.ffmpeg), "-hide_banner", "-nostdin", "-loglevel", "error", "-y", *args]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


@dataclass(frozen=True)
class RealClip:
    """One line of MANIFEST.tsv."""

    path: Path
    facts: dict[str, str]

    @property
    def refused(self) -> bool:
        """Whether a clear error is the right answer."""
        return self.facts["expected"].startswith("clear error")


def manifest(folder: Path) -> list[RealClip]:
    """Every clip of a MEDIA folder."""
    with (folder / "MANIFEST.tsv").open(encoding="utf-8", newline="") as lines:
        return [RealClip(folder / row["file"], row) for row in csv.DictReader(lines, delimiter="\t")]
