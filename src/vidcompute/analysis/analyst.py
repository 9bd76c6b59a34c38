"""One pass over the analysis stream: every frame a row, anchors with facts and JPEGs as soon as they are final.

Runs inside the box: it reads one pipe, writes into one folder, and opens nothing else. Its memory does not grow with
the clip apart from the columns (24 bytes a frame) and the stretch since the last anchor (14 kB a frame, at most 900).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2

from vidcompute.analysis.anchors import Pace, Selection, Stretch
from vidcompute.analysis.colors import Bgr, Palette, bgr
from vidcompute.analysis.facts import measure
from vidcompute.analysis.looks import Lens
from vidcompute.analysis.pictures import PictureStream, open_pictures
from vidcompute.analysis.scenes import Frame, mark_scenes
from vidcompute.domain.frames import Anchor, FrameTable
from vidcompute.domain.plan import AnalysisPlan
from vidcompute.errors import OutputInvalid, StorageFull


@dataclass(frozen=True, slots=True)
class Span:
    """The pts from `start` to before `end` that a chunk answers for; None is open.

    Frames outside are looked at, so that a cut at the border is judged exactly, and get no row.
    """

    start: int | None = None
    end: int | None = None

    def __contains__(self, pts: int) -> bool:
        return (self.start is None or pts >= self.start) and (self.end is None or pts < self.end)


def analyse(
    fd: int,
    plan: AnalysisPlan,
    directory: Path,
    *,
    emit: Callable[[Anchor], None],
    jpeg_quality: int = 80,
    span: Span | None = None,
) -> FrameTable:
    """Read the analysis stream from the pipe `fd` to its end. Anchors go to `emit` in order of pts.

    Each anchor's JPEG lies in `directory` as `a_<pts>.jpg` before it is emitted. Raises OutputInvalid if the stream
    is broken or holds no frame of the span, StorageFull if a JPEG cannot be written.
    """
    # More threads than one would only wait for each other on pictures this small.
    cv2.setNumThreads(1)
    span = span or Span()
    with open_pictures(fd, plan) as stream:
        pace = Pace(plan.mode, plan.max_anchors_per_s, stream.time_base)
        desk = _Desk(directory, emit, quality=jpeg_quality, pace=pace, matrix=plan.matrix)
        selection = Selection(pace)
        starts_scene: bool | None = None
        for frame, begins_scene in mark_scenes(_frames(stream), stream.time_base):
            if frame.pts not in span:
                continue
            if starts_scene is None:
                starts_scene = begins_scene
            for stretch in selection.add(frame, begins_scene=begins_scene):
                desk.finish(stretch)
        for stretch in selection.finish():
            desk.finish(stretch)
    if starts_scene is None:
        raise OutputInvalid(
            "the analysis stream ended before its first picture",
            hint="The decoder gave no picture; the attempt shows ffmpeg's last lines.",
        )
    return selection.table(starts_scene=starts_scene)


def _frames(stream: PictureStream) -> Iterator[Frame]:
    lens = Lens.fitting(stream.width_px, stream.height_px)
    for picture in stream.pictures:
        yield Frame(picture, lens.look(picture))


class _Desk:
    """Turns a finished stretch into an anchor: measures it, writes its JPEG, tells of it."""

    def __init__(
        self, directory: Path, emit: Callable[[Anchor], None], *, quality: int, pace: Pace, matrix: str
    ) -> None:
        self._directory = directory
        self._matrix = matrix
        self._emit = emit
        self._quality = quality
        self._time_base = pace.time_base
        self._palette = Palette()

    def finish(self, stretch: Stretch) -> None:
        source = stretch.frame.picture
        picture = bgr(source.luma, source.cb, source.cr, matrix=self._matrix)
        name = f"a_{source.pts}.jpg"
        self._write(name, picture)
        facts = measure(stretch, picture, palette=self._palette, time_base=self._time_base)
        self._emit(Anchor(source.pts, stretch.index, stretch.scene, facts, name, stretch.opens_scene))

    def _write(self, name: str, picture: Bgr) -> None:
        encoded, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, self._quality])
        if not encoded:
            raise OutputInvalid(f"the picture {name} cannot be encoded as JPEG")
        try:
            (self._directory / name).write_bytes(data.tobytes())
        except OSError as error:
            raise StorageFull(f"the anchor {name} cannot be written: {error}") from error
