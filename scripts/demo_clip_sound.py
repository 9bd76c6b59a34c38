"""The sound of the demo clip, computed: an engine, the surf, a chime."""

from __future__ import annotations

import math
import wave
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 48_000

Floats: TypeAlias = NDArray[np.float64]


def write_sound(path: Path, *, sea_s: float, title_s: float, end_s: float) -> None:
    """Write the track as 16-bit stereo WAV; the three times are where sea, title and end begin."""
    samples = sound(sea_s=sea_s, title_s=title_s, end_s=end_s)
    with wave.open(str(path), "wb") as out:
        out.setnchannels(2)
        out.setsampwidth(2)
        out.setframerate(SAMPLE_RATE_HZ)
        out.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())


def noise(rng: np.random.Generator, length: int, smooth: int) -> Floats:
    """Noise without its treble: a running mean over `smooth` samples, at unit loudness."""
    rough = np.convolve(rng.standard_normal(length + smooth), np.ones(smooth) / smooth, mode="valid")[:length]
    return np.asarray(rough / rough.std(), np.float64)


def sound(*, sea_s: float, title_s: float, end_s: float) -> Floats:
    """An engine until `sea_s`, surf until `title_s`, then a chime: shape (samples, 2), -1 to 1."""
    rng = np.random.default_rng(5)
    t = np.arange(round(SAMPLE_RATE_HZ * end_s)) / SAMPLE_RATE_HZ
    pitch = np.cumsum(58 + 26 * np.clip(t / sea_s, 0, 1)) / SAMPLE_RATE_HZ
    engine = sum(np.sin(math.tau * pitch * k) / k for k in (1, 2, 3, 4, 6)) * 0.16 + noise(rng, t.size, 40) * 0.02
    surf = noise(rng, t.size, 9) * (0.05 + 0.06 * np.sin(math.tau * (t - sea_s) / 1.7) ** 2)
    chime = np.zeros_like(t)
    for k, tone in enumerate((523.25, 659.25, 783.99, 1046.5)):
        since = np.clip(t - title_s - 0.12 * k, 0, None)
        for partial, weight in ((1, 1.0), (2.76, 0.35), (5.4, 0.12)):
            chime += (
                weight * 0.14 * np.sin(math.tau * tone * partial * since) * np.exp(-since * 2.6 * partial) * (since > 0)
            )

    def during(start: float, stop: float) -> Floats:
        # 12 ms of fade: a sound that is cut off clicks.
        return np.asarray(np.clip((t - start) / 0.012, 0, 1) * np.clip((stop - t) / 0.012, 0, 1))

    pan = 0.25 + 0.5 * np.clip(t / sea_s, 0, 1)
    drive, waves, bells = engine * during(0, sea_s), surf * during(sea_s, title_s + 0.3), chime * during(title_s, end_s)
    left = drive * (1 - pan) * 1.6 + waves + bells * 0.9
    right = drive * pan * 1.6 + np.roll(waves, 900) + bells
    return np.stack([left, right], axis=-1) * 0.8
