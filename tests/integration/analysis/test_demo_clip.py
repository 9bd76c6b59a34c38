"""The bundled clip is what its ground truth says: every demo rests on it."""

import json
from importlib import resources
from pathlib import Path

import av
import pytest

from tests.integration.analysis.stream import analysed
from vidcompute.analysis.ocr import Reader, wants_text
from vidcompute.domain.job import Ocr
from vidcompute.llm.local import LocalInput, describe

ASSETS = Path(str(resources.files("vidcompute"))) / "assets"
CLIP, TRUTH = ASSETS / "demo.mp4", json.loads((ASSETS / "demo.json").read_text("utf-8"))


def test_it_has_150_frames_sound_and_a_small_size():
    with av.open(str(CLIP)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        frames = sum(1 for _ in container.decode(video))

        assert frames == TRUTH["frames"] == 150
        assert (video.width, video.height, video.average_rate) == (1280, 720, 30)
        assert (audio.codec_context.name, audio.channels) == ("aac", 2)
    assert CLIP.stat().st_size < 1_500_000


def test_its_cuts_are_found_at_their_exact_frames(ffmpeg, tmp_path):
    table, _ = analysed(ffmpeg, CLIP, tmp_path)

    assert [at for at in range(1, 150) if table.scene[at] != table.scene[at - 1]] == TRUTH["cuts"]


def test_its_words_are_read_at_their_time(ffmpeg, tmp_path):
    pytest.importorskip("rapidocr")
    reader = Reader()
    table, anchors = analysed(ffmpeg, CLIP, tmp_path)
    read = [
        reader.read((tmp_path / anchor.jpeg).read_bytes()).lines if wants_text(anchor.facts, Ocr.AUTO) else ()
        for anchor in anchors
    ]
    described = describe([LocalInput(*pair) for pair in zip(anchors, (0,) * len(anchors), read, strict=True)])

    for truth in TRUTH["text"]:
        shown = [at for at in range(150) if truth["text"] in described[table.anchor[at]].context["ocr_text"]]
        # Within two frames of the truth at either end: frames belong to the nearest anchor.
        assert abs(shown[0] - truth["first_frame"]) <= 3, truth["text"]
        assert abs(shown[-1] + 1 - truth["end_frame"]) <= 3, truth["text"]
        assert truth["text"] in described[table.anchor[shown[0]]].context["summary"]
