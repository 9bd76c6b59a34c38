"""Text on screen, read by rapidocr (PP-OCR models, inside its wheel) on onnxruntime: the optional extra `ocr`.

Reading costs 0.2 to 3 CPU seconds a picture, encoding a second of 720p about one: so a cheap likelihood decides
first (`wants_text`), and it runs in a process of its own. Fork and box: make and `warm` the reader in the
process that reads, or, with one thread, before forking it; after `warm` it opens no file and no socket.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from vidcompute.analysis.colors import Bgr
from vidcompute.domain.frames import Facts, OnScreenText
from vidcompute.domain.job import Ocr
from vidcompute.errors import OcrUnavailable, OutputInvalid

#: Of frames in which a word can be read, 96 % reach this likelihood; of the others, 23 %.
_LEAST_LIKELIHOOD = 0.5
#: Below, what is read is mostly texture; a single character needs to be surer.
_LEAST_CONFIDENCE, _LEAST_CONFIDENCE_OF_ONE = 0.7, 0.9
#: Lines of one picture that are kept, in reading order: a page of code has more than a search needs.
_MOST_LINES = 120
_MODELS = {"Det.model_path": "PP-OCRv6_det_small.onnx", "Rec.model_path": "PP-OCRv6_rec_small.onnx"}


def wants_text(facts: Facts, mode: Ocr) -> bool:
    """Whether the anchor with these facts is worth reading."""
    return mode is Ocr.ON or (mode is Ocr.AUTO and facts.text_likelihood >= _LEAST_LIKELIHOOD)


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read of one picture, in reading order, and the CPU seconds that it took."""

    lines: tuple[OnScreenText, ...]
    cpu_s: float


class Reader:
    """Reads text in JPEGs. Raises OcrUnavailable when made without the extra `ocr`."""

    def __init__(self, *, threads: int = 1) -> None:
        """`threads` per picture: one is cheapest in all and the only number that survives a fork."""
        self._engine = _engine(threads)

    def warm(self) -> None:
        """Load the models, so that nothing is opened afterwards. About one CPU second."""
        canvas = np.full((96, 320, 3), 255, np.uint8)
        cv2.putText(canvas, "warm", (60, 60), cv2.FONT_HERSHEY_SIMPLEX, 1.5, (0, 0, 0), 3)
        # Both models load at their first use, the second only once the first has found text.
        self._engine(canvas)

    def read(self, jpeg: bytes) -> Reading:
        """The text of one picture. Raises OutputInvalid if the bytes are no picture."""
        begin_s = time.process_time()
        picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR) if jpeg else None
        if picture is None:
            raise OutputInvalid("the anchor's picture is not a JPEG", hint="The anchor is described without its text.")
        lines = _lines(self._engine(picture), np.asarray(picture, np.uint8))
        return Reading(lines, time.process_time() - begin_s)


def _engine(threads: int) -> Any:
    try:
        import rapidocr  # noqa: PLC0415 - the optional extra, and a second of imports
        from rapidocr.utils.log import logger  # noqa: PLC0415
    except ImportError as error:
        raise OcrUnavailable(f"rapidocr with onnxruntime is not installed: {error}") from error
    models = Path(rapidocr.__file__).parent / "models"
    missing = [name for name in _MODELS.values() if not (models / name).is_file()]
    if missing:
        # Without explicit files it would go and download them.
        raise OcrUnavailable(f"this rapidocr lacks the models {', '.join(missing)} in {models}")
    # It writes what it loads to stderr, where a task's own words belong.
    logger.setLevel("CRITICAL")
    return rapidocr.RapidOCR(
        params={
            **{key: str(models / name) for key, name in _MODELS.items()},
            "Global.log_level": "critical",
            # Text that stands on its head is rare in video, and looking for it costs another model.
            "Global.use_cls": False,
            # As large as the anchors are. The default enlarges them to a short side of 736: 5 times the
            # time, and no word more in the clips measured.
            "Det.limit_type": "max",
            "Det.limit_side_len": 640,
            "EngineConfig.onnxruntime.intra_op_num_threads": threads,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
    )


def _lines(output: Any, picture: Bgr) -> tuple[OnScreenText, ...]:
    if output.txts is None or output.boxes is None:
        return ()
    height, width = picture.shape[:2]
    found = []
    for words, confidence, corners in zip(output.txts, output.scores, output.boxes, strict=True):
        text = " ".join(str(words).split())
        if confidence < (_LEAST_CONFIDENCE if len(text) > 1 else _LEAST_CONFIDENCE_OF_ONE) or not text:
            continue
        box = np.asarray(corners, float) / (width, height)
        (x0, y0), (x1, y1) = box.min(axis=0).clip(0, 1).tolist(), box.max(axis=0).clip(0, 1).tolist()
        rounded = round(x0, 4), round(y0, 4), round(x1, 4), round(y1, 4)
        found.append(OnScreenText(text, round(float(confidence), 3), rounded))
    return tuple(found[:_MOST_LINES])
