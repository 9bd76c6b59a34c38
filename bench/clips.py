"""A clip to measure on where there is no folder of real ones: moving, detailed, with cuts and sound."""

from __future__ import annotations

import subprocess
from pathlib import Path

import imageio_ffmpeg

SECONDS = 60


def generated(folder: Path) -> Path:
    """60 s of 720p at 30 fps: fractal zooms and noise in turn, and a tone."""
    path = folder / "generated_720p30.mp4"
    third = SECONDS // 3
    graph = (
        f"mandelbrot=s=1280x720:r=30,trim=duration={third}[a];"
        f"testsrc2=s=1280x720:r=30,noise=alls=12:allf=t,trim=duration={third}[b];"
        f"life=s=640x360:r=30:mold=20:ratio=0.3:death_color=#303050:life_color=#e0e0ff,"
        f"scale=1280:720:flags=neighbor,trim=duration={third}[c];[a][b][c]concat=n=3,format=yuv420p[v]"
    )
    subprocess.run(
        [
            *(imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y", "-filter_complex", graph),
            *("-f", "lavfi", "-i", f"sine=f=440:d={SECONDS}", "-map", "[v]", "-map", "0:a", "-c:v", "libx264"),
            *("-preset", "veryfast", "-crf", "20", "-c:a", "aac", "-shortest", str(path)),
        ],
        check=True,
    )
    return path
