"""Where scenes begin: hard cuts and ends of black, frame-exact, in one pass with two frames of delay.

The rule for cuts is PySceneDetect's AdaptiveDetector (a change that stands out against those of its neighbours), with
three differences, each from a measured miss: change is taken in YCbCr, not HSV (see `looks.change`); the
window is cut off at the ends instead of leaving the last frames unjudged; a flash is recognised by what returns after it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

from vidcompute.analysis.looks import Look, change, is_black
from vidcompute.analysis.pictures import Picture

#: Neighbours on either side that a change is compared with; also the delay of a verdict, in frames.
_WINDOW = 2
#: Earlier frames that are kept to recognise the end of a flash of up to two frames.
_BEHIND = _WINDOW + 1


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture with its small versions."""

    picture: Picture
    look: Look

    @property
    def pts(self) -> int:
        """Presentation time in the stream's time base."""
        return self.picture.pts


@dataclass(frozen=True, slots=True)
class CutRule:
    """When a frame begins a scene. Times in seconds; `least_change` in the steps of `looks.change`.

    In the reel with exact truth the 15 hard cuts change by 62 to 140, and everything else that stands out by 15 at most.
    """

    ratio: float = 3.0
    least_change: float = 22.0
    shortest_scene_s: float = 0.3
    #: Black that lasts this long parts two scenes; the first frame after it begins the next one.
    shortest_black_s: float = 0.1


@dataclass(frozen=True, slots=True)
class _Seen:
    frame: Frame
    #: Change from the frame before; None for the first of all.
    change: float | None


def mark_scenes(
    frames: Iterable[Frame], time_base: Fraction, *, rule: CutRule | None = None
) -> Iterator[tuple[Frame, bool]]:
    """Every frame, in order, with whether it begins a scene (the first one does). Holds three pictures at most."""
    judge = _Judge(time_base, rule or CutRule())
    behind: deque[_Seen] = deque(maxlen=_BEHIND)
    ahead: deque[_Seen] = deque()

    def settle() -> tuple[Frame, bool]:
        target = ahead.popleft()
        begins = judge.begins(target, behind, ahead)
        behind.append(target)
        return target.frame, begins

    last: Frame | None = None
    for frame in frames:
        ahead.append(_Seen(frame, None if last is None else change(last.look, frame.look)))
        last = frame
        if len(ahead) > _WINDOW:
            yield settle()
    while ahead:
        yield settle()


class _Judge:
    def __init__(self, time_base: Fraction, rule: CutRule) -> None:
        self._rule = rule
        self._shortest_scene = rule.shortest_scene_s / time_base
        self._shortest_black = rule.shortest_black_s / time_base
        self._scene_pts = 0
        self._black_pts: int | None = None

    def begins(self, target: _Seen, behind: deque[_Seen], ahead: deque[_Seen]) -> bool:
        pts = target.frame.pts
        black_ended = self._black_ended(target.frame)
        if target.change is None:
            verdict = True
        elif pts - self._scene_pts < self._shortest_scene:
            verdict = False
        else:
            verdict = black_ended or self._is_cut(target, behind, ahead)
        if verdict:
            self._scene_pts = pts
        return verdict

    def _black_ended(self, frame: Frame) -> bool:
        if is_black(frame.look):
            if self._black_pts is None:
                self._black_pts = frame.pts
            return False
        since, self._black_pts = self._black_pts, None
        return since is not None and frame.pts - since >= self._shortest_black

    def _is_cut(self, target: _Seen, behind: deque[_Seen], ahead: deque[_Seen]) -> bool:
        size = target.change
        if size is None or size < self._rule.least_change:
            return False
        neighbours = [seen.change for seen in (*list(behind)[-_WINDOW:], *ahead) if seen.change is not None]
        mean = sum(neighbours) / len(neighbours) if neighbours else 0.0
        return size >= self._rule.ratio * mean and not _is_flash(target, behind, ahead)


def _is_flash(target: _Seen, behind: deque[_Seen], ahead: deque[_Seen]) -> bool:
    """Whether the picture before `target` returns right after it, or `target` is that return."""
    assert target.change is not None
    # Half the change: what merely moved on between the two is nearer than what was cut away.
    near = target.change / 2
    before = behind[-1].frame.look
    starts = any(change(before, seen.frame.look) < near for seen in ahead)
    ends = any(change(seen.frame.look, target.frame.look) < near for seen in list(behind)[:-1])
    return starts or ends
