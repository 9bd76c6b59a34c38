"""Draw the bundled demo clip: a night drive, a morning at sea, a title; 5 s, 30 fps, 150 frames, with sound.

Everything in it is computed here, so it can be given away (CC0), and what it shows is known exactly: `demo.json`
beside it lists the cuts and the words with their frames. The letters are Pillow's built-in Aileron (CC0).

    python scripts/make_demo_clip.py src/vidcompute/assets     (needs Pillow, which the extra `ocr` brings)
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import imageio_ffmpeg
import numpy as np
from demo_clip_sound import write_sound
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

WIDTH, HEIGHT, RATE, FRAMES = 1280, 720, 30, 150
#: Shots by their first frame, and captions with the frames on which they can be read.
CITY, SEA, TITLE = 0, 57, 111
CAPTIONS = (("Midnight in the city", CITY + 9, SEA), ("Morning at sea", SEA + 9, TITLE))
#: Drawn at twice the size and averaged down: smooth edges, and motion in half pixels.
SCALE = 2
W, H = WIDTH * SCALE, HEIGHT * SCALE

Rgb: TypeAlias = tuple[int, int, int]
Floats: TypeAlias = NDArray[np.float64]
Xy: TypeAlias = tuple[float, float]


def font(size_px: float) -> Any:
    """Aileron at a size in pixels of the finished clip."""
    return ImageFont.load_default(size_px * SCALE)


def gradient(stops: list[tuple[float, Rgb]], width: int = W, height: int = H) -> Image.Image:
    """A vertical gradient; stops are (share of the height, colour)."""
    at = np.linspace(0, 1, height)
    channels = [np.interp(at, [s for s, _ in stops], [c[i] for _, c in stops]) for i in range(3)]
    column = np.stack(channels, axis=-1).round().astype(np.uint8)
    return Image.fromarray(np.repeat(column[:, None], width, axis=1))


def glow(radius: int, color: Rgb, strength: int) -> Image.Image:
    """A soft round light, RGBA, of twice the radius on a side."""
    y, x = np.mgrid[-1 : 1 : 2j * radius, -1 : 1 : 2j * radius] * 1.0
    alpha = np.clip(1 - np.hypot(x, y), 0, 1) ** 2.2 * strength
    sprite = np.zeros((2 * radius, 2 * radius, 4), np.uint8)
    sprite[..., :3], sprite[..., 3] = color, alpha
    return Image.fromarray(sprite)


def stamp(canvas: Image.Image, sprite: Image.Image, center: Xy) -> None:
    """Lay an RGBA sprite over the canvas, centred."""
    canvas.paste(sprite, (round(center[0] - sprite.width / 2), round(center[1] - sprite.height / 2)), sprite)


def ease(share: float) -> float:
    """0 to 1 with a soft start and end."""
    share = min(1.0, max(0.0, share))
    return share * share * (3 - 2 * share)


# ---- the city at night


def skyline(rng: np.random.Generator, *, heights: tuple[int, int], wall: Rgb, lit: float) -> Image.Image:
    """Houses side by side on a transparent strip three screens long; `lit` is the share of windows with light."""
    strip = Image.new("RGBA", (W * 2, 900), (0, 0, 0, 0))
    draw = ImageDraw.Draw(strip)
    x = 0
    while x < strip.width:
        width, height = int(rng.integers(150, 330)), int(rng.integers(*heights))
        shade = float(rng.uniform(0.85, 1.15))
        top = strip.height - height
        draw.rectangle((x, top, x + width, strip.height), fill=tuple(int(v * shade) for v in wall))
        if rng.random() < 0.35:
            draw.rectangle((x + width // 2 - 4, top - 90, x + width // 2 + 4, top), fill=wall)
        for row in range(top + 34, strip.height - 40, 56):
            for column in range(x + 24, x + width - 36, 48):
                if rng.random() < lit:
                    warm = int(rng.integers(150, 255))
                    draw.rectangle((column, row, column + 20, row + 28), fill=(warm, int(warm * 0.8), 90))
        x += width + int(rng.integers(-4, 26))
    return strip


def car(turn: float) -> Image.Image:
    """A red car from the side; `turn` is the angle of its wheels in radians."""
    sprite = Image.new("RGBA", (760, 300), (0, 0, 0, 0))
    draw = ImageDraw.Draw(sprite)
    draw.ellipse((30, 236, 730, 292), fill=(0, 0, 0, 120))
    draw.polygon([(170, 110), (255, 30), (455, 30), (560, 110)], fill=(176, 22, 38))
    draw.polygon([(200, 108), (268, 46), (352, 46), (352, 108)], fill=(150, 200, 230))
    draw.polygon([(368, 108), (368, 46), (446, 46), (522, 108)], fill=(174, 216, 240))
    draw.rounded_rectangle((40, 104, 720, 226), radius=46, fill=(216, 30, 48))
    draw.rounded_rectangle((48, 168, 712, 224), radius=26, fill=(168, 18, 36))
    draw.rounded_rectangle((684, 128, 722, 162), radius=14, fill=(255, 246, 200))
    draw.rounded_rectangle((38, 128, 66, 160), radius=10, fill=(255, 96, 80))
    draw.rounded_rectangle((330, 134, 380, 144), radius=5, fill=(110, 10, 24))
    for x in (190, 570):
        draw.ellipse((x - 66, 154, x + 66, 286), fill=(18, 18, 24))
        draw.ellipse((x - 38, 182, x + 38, 258), fill=(190, 196, 206))
        for spoke in range(5):
            angle = turn + spoke * math.tau / 5
            draw.line((x, 220, x + 36 * math.cos(angle), 220 + 36 * math.sin(angle)), fill=(60, 64, 76), width=10)
    return sprite


def city() -> Callable[[int], Image.Image]:
    """The first shot as a function of the frame within it."""
    rng = np.random.default_rng(2)
    sky = gradient([(0, (8, 10, 34)), (0.45, (40, 32, 84)), (0.72, (150, 74, 108)), (1, (30, 24, 44))])
    stars = ImageDraw.Draw(sky)
    for x, y, bright in zip(rng.uniform(0, W, 160), rng.uniform(0, 620, 160), rng.uniform(90, 255, 160), strict=True):
        stars.ellipse((x, y, x + 3, y + 3), fill=(int(bright), int(bright), 255))
    far = skyline(rng, heights=(300, 640), wall=(44, 36, 78), lit=0.16).filter(ImageFilter.GaussianBlur(2))
    near = skyline(rng, heights=(220, 520), wall=(22, 20, 44), lit=0.34)
    halo, lamp = glow(330, (255, 240, 205), 150), glow(150, (255, 206, 120), 190)
    cone = Image.new("L", (760, 260))
    ImageDraw.Draw(cone).polygon([(0, 92), (0, 124), (760, 250), (760, 120)], fill=255)
    reach = np.asarray(cone.filter(ImageFilter.GaussianBlur(12))) * np.linspace(0.4, 0, 760)
    beam = Image.new("RGBA", cone.size, (255, 240, 180, 255))
    beam.putalpha(Image.fromarray(reach.astype(np.uint8)))

    def draw(n: int) -> Image.Image:
        canvas = sky.copy()
        moon = 1980 - 3.2 * n, 250 - 1.4 * n
        stamp(canvas, halo, moon)
        pen = ImageDraw.Draw(canvas)
        pen.ellipse((moon[0] - 92, moon[1] - 92, moon[0] + 92, moon[1] + 92), fill=(252, 244, 218))
        for dx, dy, r in ((-30, -20, 20), (34, 10, 26), (-8, 44, 14)):
            pen.ellipse((moon[0] + dx - r, moon[1] + dy - r, moon[0] + dx + r, moon[1] + dy + r), fill=(234, 222, 190))
        canvas.paste(far, (-4 * n, 1080 - 900), far)
        canvas.paste(near, (-10 * n - 300, 1110 - 900), near)
        pen.rectangle((0, 1110, W, H), fill=(34, 34, 46))
        pen.rectangle((0, 1110, W, 1124), fill=(92, 92, 112))
        for mark in range(-1, 9):
            x = mark * 360 - (40 * n) % 360
            pen.polygon([(x, 1250), (x + 190, 1250), (x + 176, 1266), (x - 14, 1266)], fill=(226, 214, 150))
        for post in range(-1, 4):
            x = post * 1100 - (26 * n) % 1100 + 200
            pen.rectangle((x - 7, 640, x + 7, 1112), fill=(16, 16, 26))
            pen.rectangle((x - 7, 640, x + 120, 652), fill=(16, 16, 26))
            stamp(canvas, lamp, (x + 110, 668))
        rear = round(-760 + 2000 * ease((n + 14) / 70))
        canvas.paste(beam, (rear + 700, 1010), beam)
        sprite = car(n * 0.9)
        canvas.paste(sprite, (rear, 944 + round(3 * math.sin(n * 1.1))), sprite)
        return canvas

    return draw


# ---- the sea in the morning


def swell(x: Floats, n: int, *, level: float, size: float, speed: float) -> Floats:
    """Height of a wave over x at frame n."""
    return level + size * np.sin(x / 190 + n * speed) + size * 0.45 * np.sin(x / 83 - n * speed * 1.6)


def boat(tilt_deg: float) -> Image.Image:
    """A sailing boat, tilted."""
    sprite = Image.new("RGBA", (520, 620), (0, 0, 0, 0))
    draw = ImageDraw.Draw(sprite)
    draw.rectangle((252, 40, 264, 480), fill=(112, 74, 44))
    draw.polygon([(272, 50), (272, 440), (470, 440)], fill=(252, 250, 240))
    draw.polygon([(244, 90), (244, 440), (96, 440)], fill=(236, 92, 70))
    draw.polygon([(60, 474), (470, 474), (400, 570), (130, 570)], fill=(38, 74, 124))
    draw.polygon([(60, 474), (470, 474), (458, 492), (72, 492)], fill=(246, 244, 236))
    draw.polygon([(264, 40), (330, 58), (264, 78)], fill=(244, 190, 60))
    return sprite.rotate(tilt_deg, resample=Image.Resampling.BICUBIC, center=(260, 560))


def sea() -> Callable[[int], Image.Image]:
    """The second shot as a function of the frame within it."""
    sky = gradient([(0, (92, 172, 228)), (0.5, (196, 226, 240)), (0.62, (255, 236, 206)), (1, (255, 236, 206))])
    sun = glow(420, (255, 244, 200), 235)
    x = np.arange(0, W + 16, 16.0)
    cloud = Image.new("RGBA", (760, 260), (255, 255, 255, 0))
    for left, top, r in ((60, 110, 70), (150, 60, 95), (290, 30, 115), (430, 60, 95), (540, 100, 75)):
        ImageDraw.Draw(cloud).ellipse((left, top, left + 2 * r, top + 2 * r), fill=(255, 255, 255, 225))
    ImageDraw.Draw(cloud).rectangle((0, 215, 760, 260), fill=(255, 255, 255, 0))
    cloud = cloud.filter(ImageFilter.GaussianBlur(10))
    small = cloud.resize((456, 156))
    layers: tuple[tuple[float, float, float, Rgb], ...] = (
        (800, 8, 0.10, (112, 186, 210)), (880, 14, -0.13, (58, 150, 188)),
        (990, 20, 0.16, (30, 116, 162)), (1120, 26, -0.19, (20, 88, 136)),
    )  # fmt: skip

    def draw(n: int) -> Image.Image:
        canvas = sky.copy()
        stamp(canvas, sun, (1880, 430 - 2.0 * n))
        ImageDraw.Draw(canvas).ellipse((1790, 340 - 2 * n, 1970, 520 - 2 * n), fill=(255, 250, 224))
        canvas.paste(cloud, (160 + 5 * n, 130), cloud)
        canvas.paste(small, (1240 + 3 * n, 300), small)
        pen = ImageDraw.Draw(canvas)
        for at, (level, size, speed, color) in enumerate(layers):
            if at == 2:
                course = 420 + 14.0 * n
                height = float(swell(np.array([course]), n, level=930, size=15, speed=-0.13)[0])
                hull = boat(4.5 * math.sin(n * 0.21))
                canvas.paste(hull, (round(course - 260), round(height - 540)), hull)
            top = swell(x, n, level=level, size=size, speed=speed)
            crest = list(zip(x.tolist(), top.tolist(), strict=True))
            pen.polygon([*crest, (W + 16, H), (0, H)], fill=color)
            pen.line(crest, fill=tuple(min(255, v + 56) for v in color), width=5)
        shore = swell(x, n, level=1290 - 26 * math.sin(n * 0.09), size=9, speed=0.08)
        beach = list(zip(x.tolist(), shore.tolist(), strict=True))
        pen.polygon([*beach, (W + 16, H), (0, H)], fill=(238, 212, 160))
        pen.line(beach, fill=(255, 255, 255), width=16)
        return canvas

    return draw


# ---- the title


def title() -> Callable[[int], Image.Image]:
    """The third shot: a strip of pictures from the first two under a moving light, and the name."""
    ground = gradient([(0, (10, 24, 40)), (0.55, (14, 54, 74)), (1, (8, 20, 34))])
    night, day, size = city(), sea(), (300, 170)
    tiles = [(night if i % 2 else day)(5 * i + 4).resize(size, Image.Resampling.LANCZOS) for i in range(10)]
    name, line = font(124), font(44)

    def draw(n: int) -> Image.Image:
        canvas = ground.copy()
        light = -200 + W * 1.25 * n / (FRAMES - TITLE)
        for i in range(-1, 10):
            x = i * 330 - (7 * n) % 330 + 60
            near = max(0.0, 1 - abs(x + 150 - light) / 420)
            tile = Image.blend(Image.new("RGB", size, (10, 30, 44)), tiles[(i + 7 * n // 330) % 10], 0.35 + 0.65 * near)
            canvas.paste(tile, (x, 1010 - round(26 * near)))
        pen = ImageDraw.Draw(canvas)
        pen.rectangle((light - 4, 940, light + 4, 1230), fill=(255, 196, 80))
        pen.text((W / 2, 470), "vidcompute", font=name, fill=(250, 250, 244), anchor="mm")
        pen.text((W / 2, 690), "every frame, searchable", font=line, fill=(255, 206, 110), anchor="mm")
        return canvas

    return draw


def captioned(canvas: Image.Image, n: int) -> Image.Image:
    """The frame with the caption that is due: there from its first frame on, sliding by a few pixels."""
    for text, first, end in CAPTIONS:
        if first <= n < end:
            width, left = font(44).getlength(text) + 120, 110 - 50 * (1 - ease((n - first + 4) / 10))
            plate = Image.new("RGBA", canvas.size, (0, 0, 0, 0))
            pen = ImageDraw.Draw(plate)
            pen.rounded_rectangle((left, 1272, left + width, 1408), radius=24, fill=(10, 14, 26, 215))
            pen.rectangle((left, 1294, left + 12, 1386), fill=(255, 190, 70, 255))
            pen.text((left + 60, 1340), text, font=font(44), fill=(255, 255, 255, 255), anchor="lm")
            canvas = Image.alpha_composite(canvas.convert("RGBA"), plate).convert("RGB")
    return canvas


def frames() -> Any:
    """All 150 frames, 1280x720, RGB."""
    shots = ((CITY, SEA, city()), (SEA, TITLE, sea()), (TITLE, FRAMES, title()))
    for first, end, draw in shots:
        for n in range(first, end):
            yield captioned(draw(n - first), n).reduce(SCALE)


# ---- the files


def encode(folder: Path) -> None:
    """Write demo.mp4. One thread and `bitexact`: the same program writes the same bytes."""
    with tempfile.TemporaryDirectory() as scratch:
        track = Path(scratch) / "sound.wav"
        write_sound(track, sea_s=SEA / RATE, title_s=TITLE / RATE, end_s=FRAMES / RATE)
        argv = [
            imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y",
            "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{WIDTH}x{HEIGHT}", "-r", str(RATE), "-i", "pipe:0",
            "-i", str(track),
            # HD is BT.709 by convention; saying so keeps the reds red in every player.
            "-vf", "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p",
            "-color_primaries", "bt709", "-color_trc", "bt709", "-colorspace", "bt709",
            "-c:v", "libx264", "-preset", "veryslow", "-crf", "23", "-threads", "1",
            "-c:a", "aac", "-b:a", "112k",
            "-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact", "-movflags", "+faststart",
            str(folder / "demo.mp4"),
        ]  # fmt: skip
        with subprocess.Popen(argv, stdin=subprocess.PIPE) as encoder:
            assert encoder.stdin is not None
            for frame in frames():
                encoder.stdin.write(frame.tobytes())
            encoder.stdin.close()
        if encoder.returncode != 0:
            raise SystemExit(f"ffmpeg exited with {encoder.returncode}")


def truth() -> dict[str, Any]:
    """What the clip shows, by frame; an end is the first frame without it."""
    words = [*CAPTIONS, ("vidcompute", TITLE, FRAMES), ("every frame, searchable", TITLE, FRAMES)]
    return {
        "file": "demo.mp4", "licence": "CC0-1.0", "width": WIDTH, "height": HEIGHT, "fps": RATE, "frames": FRAMES,
        "cuts": [SEA, TITLE],
        "shots": [
            {"first_frame": CITY, "end_frame": SEA, "shows": "a red car drives through a city at night, moon above"},
            {"first_frame": SEA, "end_frame": TITLE, "shows": "a sailing boat on the waves in the morning, beach in front"},
            {"first_frame": TITLE, "end_frame": FRAMES, "shows": "the title over a strip of pictures"},
        ],
        "text": [
            {"text": text, "first_frame": first, "end_frame": end,
             "start_ms": round(first * 1000 / RATE), "end_ms": round(end * 1000 / RATE)}
            for text, first, end in words
        ],
    }  # fmt: skip


if __name__ == "__main__":
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "src/vidcompute/assets")
    encode(target)
    (target / "demo.json").write_text(json.dumps(truth(), indent=1) + "\n")
