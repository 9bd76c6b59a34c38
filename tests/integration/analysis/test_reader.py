import subprocess
import sys

import cv2
import numpy as np
import pytest

from vidcompute.analysis.ocr import Reader, wants_text
from vidcompute.domain.frames import Facts
from vidcompute.domain.job import Ocr
from vidcompute.errors import OcrUnavailable, OutputInvalid


def jpeg(*lines: str, width: int = 640, height: int = 360) -> bytes:
    canvas = np.full((height, width, 3), (90, 60, 40), np.uint8)
    for n, text in enumerate(lines):
        cv2.putText(canvas, text, (40, 80 + 90 * n), cv2.FONT_HERSHEY_SIMPLEX, 1.1, (255, 255, 255), 2, cv2.LINE_AA)
    return cv2.imencode(".jpg", canvas, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()


@pytest.fixture(scope="module")
def reader():
    pytest.importorskip("rapidocr")
    made = Reader()
    made.warm()
    return made


def test_lines_are_read_in_order_with_their_boxes(reader):
    reading = reader.read(jpeg("Where are you", "Platform seven"))

    assert [line.text for line in reading.lines] == ["Where are you", "Platform seven"]
    assert all(line.confidence > 0.9 for line in reading.lines)
    first, second = (line.box for line in reading.lines)
    assert 0 <= first[0] < first[2] <= 1
    assert 0 <= first[1] < first[3] < second[1] < second[3] <= 1
    assert reading.cpu_s > 0


def test_a_picture_without_text_has_no_lines(reader):
    assert reader.read(jpeg()).lines == ()


@pytest.mark.parametrize("data", [b"", b"not a jpeg", jpeg("cut off")[:40]], ids=["empty", "text", "cut off"])
def test_what_is_no_picture_is_refused(reader, data):
    with pytest.raises(OutputInvalid, match="not a JPEG"):
        reader.read(data)


FORKED = """
import os, resource, sys
from vidcompute.analysis.ocr import Reader
reader = Reader()
reader.warm()
picture = sys.stdin.buffer.read()
child = os.fork()
if child == 0:
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
    try:
        open("/dev/null")
    except OSError:
        os.write(1, " ".join(line.text for line in reader.read(picture).lines).encode())
    os._exit(0)
os.waitpid(child, 0)
"""


def test_once_warm_it_reads_in_a_forked_child_that_can_open_nothing():
    pytest.importorskip("rapidocr")

    done = subprocess.run([sys.executable, "-c", FORKED], input=jpeg("Platform seven"), capture_output=True, check=True)

    assert (done.stdout.decode(), done.stderr.decode()) == ("Platform seven", "")


def test_without_the_extra_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "rapidocr", None)

    with pytest.raises(OcrUnavailable) as caught:
        Reader()

    assert caught.value.code == "ocr_unavailable"
    assert "vidcompute[ocr]" in caught.value.hint


@pytest.mark.parametrize(
    ("mode", "likelihood", "wanted"),
    [(Ocr.AUTO, 0.5, True), (Ocr.AUTO, 0.49, False), (Ocr.ON, 0.0, True), (Ocr.OFF, 1.0, False)],
)
def test_only_pictures_that_look_like_text_are_read_unless_told_otherwise(mode, likelihood, wanted):
    facts = Facts((("gray", 1.0),), 0.5, 0.1, 1.0, 0.0, black=False, frozen=False, text_likelihood=likelihood)

    assert wants_text(facts, mode) is wanted
