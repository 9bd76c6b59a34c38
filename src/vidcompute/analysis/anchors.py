"""Which frames get a description, and which of them each frame points at: one pass, bounded memory.

A new anchor is due when the picture has become another one than the *anchor's* (the frame before would drift along),
but not more often than the pace allows. When the next anchor of the scene is known, the frames in between are
parted at the one point where their total likeness to the two is greatest, so an anchor's frames are one stretch of time.
"""

from __future__ import annotations

from array import array
from collections import deque
from dataclasses import dataclass, field
from fractions import Fraction
from typing import assert_never

import numpy as np

from vidcompute.analysis.looks import is_black, likeness, motion, novelty
from vidcompute.analysis.pictures import Plane
from vidcompute.analysis.scenes import Frame
from vidcompute.domain.frames import FrameTable
from vidcompute.domain.job import FrameMode

#: Block difference (8-bit steps) from which a picture is another one; noise and compression stay below.
_NOVEL = 12.0
#: An anchor speaks for this long at most, even of a still picture.
_LONGEST_S = 10.0
#: Mode `scene`: its anchor is taken from the first seconds, so that describing need not wait for the scene's end.
_AUDITION_S = 2.0
#: The very first frames of a scene often still carry a dissolve or a fade.
_SETTLED_S = 0.25
#: Frames whose small picture is kept until the next anchor: 14 kB each; older ones stay with the anchor before.
_MOST_OPEN = 900
#: A stretch in which no block differs by more than noise does, for at least half a second, is frozen.
_FROZEN_NOVELTY, _FROZEN_S = 6.0, 0.5


@dataclass(frozen=True, slots=True)
class Pace:
    """How anchors are chosen: `per_s` is the most per second in mode auto, the fixed rate in mode fps."""

    mode: FrameMode
    per_s: float
    time_base: Fraction

    @property
    def gap(self) -> Fraction:
        """Least distance of two anchors (mode fps: the distance), in ticks of the time base."""
        return 1 / Fraction(self.per_s).limit_denominator(100_000) / self.time_base

    def ticks(self, seconds: float) -> Fraction:
        """Seconds in ticks of the time base."""
        return Fraction(seconds) / self.time_base


@dataclass(slots=True)
class Stretch:
    """An anchor with what was measured of the frames from it up to the next anchor or cut."""

    frame: Frame
    index: int
    scene: int
    opens_scene: bool
    end_pts: int
    worst_novelty: float = 0.0
    motions: list[float] = field(default_factory=list)
    #: Motion towards the frame before, used when no frame follows; None at the start of a scene.
    motion_before: float | None = None

    @property
    def motion(self) -> float:
        """Mean motion over the stretch, 0 to 1."""
        return sum(self.motions) / len(self.motions) if self.motions else self.motion_before or 0.0

    def frozen(self, time_base: Fraction) -> bool:
        """Whether nothing moved for at least half a second."""
        return (self.end_pts - self.frame.pts) * time_base >= _FROZEN_S and self.worst_novelty <= _FROZEN_NOVELTY


class Selection:
    """Add frames in order; take finished stretches as they come; at the end take the table."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._due = _Due(pace)
        self._pts, self._scene = array("q"), array("l")
        self._anchor, self._similarity = array("l"), array("f")
        self._scene_no = -1
        self._opens_scene = False
        self._anchors = 0
        self._open: Stretch | None = None
        self._audition: _Audition | None = None
        #: Small pictures of the frames since the open anchor, with their row.
        self._pending: deque[tuple[int, Plane]] = deque(maxlen=_MOST_OPEN)
        self._last: Frame | None = None

    def add(self, frame: Frame, *, begins_scene: bool) -> list[Stretch]:
        """Take the next frame; gives the stretches that are finished by it.

        The first frame may go on with the scene of the chunk before.
        """
        finished: list[Stretch] = []
        if begins_scene or not self._pts:
            finished = self.finish()
            self._scene_no += 1
            self._opens_scene = begins_scene
            self._last = None
        row = len(self._pts)
        self._pts.append(frame.pts)
        self._scene.append(self._scene_no)
        self._anchor.append(self._anchors - 1)
        self._similarity.append(0.0)
        if self._open is not None:
            finished += self._next_of_scene(self._open, frame, row)
        elif self._pace.mode is FrameMode.SCENE:
            self._hear(frame, row)
        else:
            self._begin(frame, row)
        self._last = frame
        return finished

    def finish(self) -> list[Stretch]:
        """No frame of this scene follows: gives what is still open."""
        if self._audition is not None:
            self._decide(self._audition)
        finished = [] if self._open is None else [self._open]
        self._open = None
        self._pending.clear()
        return finished

    def table(self, *, starts_scene: bool) -> FrameTable:
        """All frames so far; complete after `finish`."""
        # Two decimals are what a similarity means.
        similarity = tuple(round(value, 2) for value in self._similarity)
        columns = (tuple(self._pts), tuple(self._scene), tuple(self._anchor), similarity)
        return FrameTable(self._pace.time_base, *columns, starts_scene=starts_scene)

    def _hear(self, frame: Frame, row: int) -> None:
        if self._audition is None:
            self._audition = _Audition(frame, row, settled=self._pace.ticks(_SETTLED_S))
        else:
            self._audition.see(frame, row)
        self._pending.append((row, frame.look.y))
        if frame.pts - self._audition.start_pts >= self._pace.ticks(_AUDITION_S):
            self._decide(self._audition)

    def _next_of_scene(self, stretch: Stretch, frame: Frame, row: int) -> list[Stretch]:
        moved = 0.0 if self._last is None else motion(self._last.look, frame.look)
        difference = novelty(stretch.frame.look, frame.look)
        if self._due.now(difference, frame.pts, anchor_pts=stretch.frame.pts):
            self._begin(frame, row, motion_before=moved)
            return [stretch]
        self._similarity[row] = likeness(stretch.frame.look.y, frame.look.y)
        self._pending.append((row, frame.look.y))
        stretch.motions.append(moved)
        stretch.worst_novelty = max(stretch.worst_novelty, difference)
        stretch.end_pts = frame.pts
        return []

    def _begin(self, frame: Frame, row: int, *, motion_before: float | None = None) -> None:
        part(self._pending, frame.look.y, similarity=self._similarity, anchor=self._anchor, number=self._anchors)
        self._pending.clear()
        self._anchor[row], self._similarity[row] = self._anchors, 1.0
        self._anchors += 1
        self._open = Stretch(frame, row, self._scene_no, self._opens_scene, frame.pts, motion_before=motion_before)
        self._opens_scene = False
        self._due.chosen(frame.pts)

    def _decide(self, audition: _Audition) -> None:
        """Mode scene: the audition is over; all its frames belong to the best of them."""
        number, best = self._anchors, audition.best
        for row, small in self._pending:
            self._anchor[row], self._similarity[row] = number, likeness(best.look.y, small)
        self._pending.clear()
        self._similarity[audition.row] = 1.0
        self._anchors += 1
        self._open = Stretch(best, audition.row, self._scene_no, self._opens_scene, audition.last_pts)
        self._opens_scene = False
        self._open.motions, self._open.worst_novelty = audition.motions, audition.worst_novelty()
        self._audition = None


class _Due:
    """Whether the next anchor of a running scene is due."""

    def __init__(self, pace: Pace) -> None:
        self._mode = pace.mode
        self._gap = pace.gap
        self._longest = pace.ticks(_LONGEST_S)
        self._next_pts: Fraction | None = None

    def chosen(self, pts: int) -> None:
        """An anchor was chosen at `pts` (mode fps: the grid begins at the first one, and cuts do not move it)."""
        if self._next_pts is None:
            self._next_pts = pts + self._gap
        elif pts >= self._next_pts:
            # Over a hole in the time stamps the grid goes on at its next point, not with all that were missed.
            self._next_pts += self._gap * ((pts - self._next_pts) // self._gap + 1)

    def now(self, difference: float, pts: int, *, anchor_pts: int) -> bool:
        """Whether the frame at `pts`, which differs by `difference` from the anchor, becomes the next one."""
        match self._mode:
            case FrameMode.AUTO:
                since = pts - anchor_pts
                return (difference > _NOVEL and since >= self._gap) or since >= self._longest
            case FrameMode.FPS:
                return self._next_pts is not None and pts >= self._next_pts
            case FrameMode.EVERY:
                return True
            case FrameMode.SCENE:
                return False
        assert_never(self._mode)


class _Audition:
    """The best frame of a scene's beginning: not black, past the transition, then the least moving one."""

    def __init__(self, first: Frame, row: int, *, settled: Fraction) -> None:
        self.start_pts = self.last_pts = first.pts
        self.best, self.row = first, row
        self.motions: list[float] = []
        self._settled = settled
        self._first = self._last = first
        self._rank = self._rank_of(first, 0.0)

    def see(self, frame: Frame, row: int) -> None:
        """Take the next frame into account."""
        moved = motion(self._last.look, frame.look)
        self.motions.append(moved)
        rank = self._rank_of(frame, moved)
        if rank > self._rank:
            self.best, self.row, self._rank = frame, row, rank
        self._last, self.last_pts = frame, frame.pts

    def worst_novelty(self) -> float:
        """How far the two ends of the beginning lie from its best frame."""
        return max(novelty(self.best.look, end.look) for end in (self._first, self._last))

    def _rank_of(self, frame: Frame, moved: float) -> tuple[bool, bool, float]:
        return not is_black(frame.look), frame.pts - self.start_pts >= self._settled, -moved


def part(
    pending: deque[tuple[int, Plane]],
    small: Plane,
    *,
    similarity: array[float],
    anchor: array[int],
    number: int,
) -> None:
    """Give the last of the `pending` frames to anchor `number` (whose picture is `small`): as many as gain by it in sum.

    Rows of `similarity` hold the likeness to the anchor before; rows that change hands are overwritten in both columns.
    """
    if not pending:
        return
    after = np.array([likeness(small, picture) for _, picture in pending])
    before = np.array([similarity[row] for row, _ in pending])
    # total[k]: the first k frames stay, the others change hands. The last maximum: a tie leaves a frame where it is.
    total = np.concatenate(([0.0], np.cumsum(before))) + np.concatenate((np.cumsum(after[::-1])[::-1], [0.0]))
    stay = len(total) - 1 - int(np.argmax(total[::-1]))
    for at, (row, _) in enumerate(pending):
        if at >= stay:
            anchor[row], similarity[row] = number, float(after[at])
