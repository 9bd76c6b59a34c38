"""Frames, anchors and descriptions.

A frame is one source picture after edit list and decode, in presentation order. An anchor is a frame
that gets a description of its own; every frame points at the anchor of its scene that it resembles most.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Facts:
    """What was measured of one anchor: never a guess about objects."""

    #: CSS colour names with their share, largest first, e.g. (("navy", 0.41), ("gray", 0.2)).
    colors: tuple[tuple[str, float], ...]
    #: Mean luma, 0 black to 1 white.
    brightness: float
    #: Standard deviation of luma, 0 to 0.5.
    contrast: float
    #: Variance of the Laplacian of luma (8-bit scale), unbounded.
    sharpness: float
    #: Mean absolute luma difference from frame to frame over the frames that follow, up to the next anchor
    #: or cut, 0 to 1. (Towards the frame before it, an anchor that opens a scene would measure the cut.)
    motion: float
    black: bool
    #: Nothing moved for at least half a second from here, up to the next anchor or cut.
    frozen: bool
    #: How much the picture looks as if it held text, 0 to 1 (the gate before OCR).
    text_likelihood: float


@dataclass(frozen=True, slots=True)
class Anchor:
    """One described frame. `pts` is in the source stream's time base; `index` counts frames within the chunk."""

    pts: int
    index: int
    #: Scene number within the chunk, from 0.
    scene: int
    facts: Facts
    #: File name of its JPEG in the task's folder, and later the last part of its blob key.
    jpeg: str
    #: Whether it is the first anchor of a scene that begins in this chunk.
    opens_scene: bool = False


@dataclass(frozen=True, slots=True)
class FrameTable:
    """All frames of one chunk as columns of equal length, in presentation order."""

    time_base: Fraction
    pts: tuple[int, ...]
    #: Scene number within the chunk.
    scene: tuple[int, ...]
    #: Index into the chunk's anchors, in order of pts.
    anchor: tuple[int, ...]
    #: Likeness to the anchor, 0 to 1 (1 for the anchor itself).
    similarity: tuple[float, ...]
    #: Whether the first frame of the chunk begins a new scene (always true for chunk 0).
    starts_scene: bool = True


@dataclass(frozen=True, slots=True)
class FrameRow:
    """One frame of the whole video: numbers from 0, `anchor_pts` names its description."""

    pts: int
    frame_no: int
    scene_no: int
    anchor_pts: int
    similarity: float


def merge(chunks: Iterable[tuple[FrameTable, Sequence[Anchor]]]) -> Iterator[FrameRow]:
    """Frames and scenes of the whole video from the tables of its chunks, which come in order.

    Chunks may overlap by a few frames: the first that tells of a pts wins, so pts increase strictly.
    A scene goes on across a border unless the later chunk saw a cut there. Memory: one chunk at a time.
    """
    frame_no, scene_no, last_pts = 0, -1, None
    for table, anchors in chunks:
        previous_scene: int | None = None
        for at, pts in enumerate(table.pts):
            begins = scene_no < 0 or (table.starts_scene if at == 0 else table.scene[at] != previous_scene)
            previous_scene = table.scene[at]
            if last_pts is not None and pts <= last_pts:
                continue
            scene_no += begins
            yield FrameRow(pts, frame_no, scene_no, anchors[table.anchor[at]].pts, table.similarity[at])
            frame_no, last_pts = frame_no + 1, pts


@dataclass(frozen=True, slots=True)
class OnScreenText:
    """One line of text that was read, with its confidence (0 to 1) and box in the picture (fractions: x0, y0, x1, y1)."""

    text: str
    confidence: float
    box: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Description:
    """What is said of one anchor. `context` follows the frame context's schema (summary, objects, …)."""

    pts: int
    kind: str
    source: str
    model: str
    prompt_version: int
    status: str
    context: dict[str, object]
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float = 0.0
    #: CPU seconds spent on reading text, reported apart.
    ocr_cpu_s: float = 0.0
    extra: dict[str, object] = field(default_factory=dict)
