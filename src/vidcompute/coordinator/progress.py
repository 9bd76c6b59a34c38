"""How far a job is, as one number and an honest guess of the rest. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from vidcompute.domain.job import Phase

#: Share of the whole that each phase had when measured over mixed clips; they add up to 100.
WEIGHTS: dict[Phase, float] = {
    Phase.DOWNLOADING: 3.0,
    Phase.PROBING: 1.0,
    Phase.TRANSCODING: 84.0,
    Phase.DESCRIBING: 6.0,
    Phase.PACKAGING: 3.0,
    Phase.VERIFYING: 1.0,
    Phase.UPLOADING: 2.0,
}
#: Below this share a guess of the remaining time is worse than none.
_ETA_FROM = 0.05


@dataclass(slots=True)
class JobProgress:
    """Collects what tasks report; `snapshot()` is the contract's `progress`. Percent never goes back."""

    frames: int = 0
    started_s: float = 0.0
    phase: Phase = Phase.DOWNLOADING
    frame: int = 0
    fps: float | None = None
    speed: float | None = None
    _done: dict[Phase, float] = field(default_factory=dict)
    _percent: float = 0.0

    def hear(self, phase: Phase, data: dict[str, Any]) -> None:
        """Take in one progress report of a task."""
        if phase is Phase.TRANSCODING and "frame" in data:
            self.phase = phase
            self.frame = max(self.frame, int(data["frame"]))
            self.fps = data.get("fps") or self.fps
            self.speed = data.get("speed") or self.speed
            self._done[phase] = min(1.0, self.frame / self.frames) if self.frames else 0.0
        elif data.get("total"):
            # Describing runs beside transcoding: it counts, but does not name the phase before its time.
            if phase is not Phase.DESCRIBING or self._done.get(Phase.TRANSCODING, 0.0) >= 1.0:
                self.phase = phase
            self._done[phase] = min(1.0, data["done"] / data["total"])
        elif phase is not Phase.DESCRIBING:
            self.phase = phase

    def finish(self, phase: Phase) -> None:
        """This phase is over."""
        self._done[phase] = 1.0
        if phase is Phase.TRANSCODING and self.frames:
            self.frame = self.frames

    def snapshot(self, now_s: float) -> dict[str, Any]:
        """The contract's `progress` at `now_s` (monotonic seconds)."""
        percent = sum(WEIGHTS[phase] * share for phase, share in self._done.items())
        self._percent = max(self._percent, min(99.9, percent))
        share = self._percent / 100
        elapsed_s = now_s - self.started_s
        return {
            "percent": round(self._percent, 1),
            "frame": self.frame,
            "frames": self.frames or None,
            "fps": self.fps,
            "speed": self.speed,
            "eta_s": round(elapsed_s / share * (1 - share), 1) if share > _ETA_FROM else None,
        }
