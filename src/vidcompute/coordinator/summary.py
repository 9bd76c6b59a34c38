"""The probe as people see it: the contract's `source`."""

from __future__ import annotations

from typing import Any

from vidcompute.domain.media import Probe, Scan, Transfer


def source_summary(probe: Probe) -> dict[str, Any]:
    """JSON-compatible: sizes as coded, rotation in clockwise degrees, rates as "num/den", times in milliseconds."""
    video = probe.video
    rate = video.frame_rate
    return {
        "container": probe.container,
        "video_codec": video.codec,
        "width": video.width_px,
        "height": video.height_px,
        "fps": f"{rate.numerator}/{rate.denominator}",
        "variable_rate": video.variable_rate,
        "frames": video.frames,
        "duration_ms": round(probe.duration * 1000),
        "size_bytes": probe.size_bytes,
        "rotation": video.rotation,
        "sar": f"{video.sar.numerator}:{video.sar.denominator}",
        "bit_depth": video.bit_depth,
        "hdr": video.transfer is not Transfer.SDR,
        "interlaced": video.scan is Scan.INTERLACED,
        "audio": [
            {"codec": sound.codec, "channels": sound.channels, "language": sound.language} for sound in probe.audio
        ],
        "subtitles": [{"codec": text.codec, "language": text.language} for text in probe.subtitles],
    }
