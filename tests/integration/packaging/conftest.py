from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.packaging.encoded import Encoded, encode
from tests.unit.media.synthetic import audio_plan

RUNGS = (("v0", 128, 72), ("v1", 64, 36))
SOUNDS = (audio_plan("a0", language="eng"), audio_plan("a1", language="deu", title='Das "Boot"', default=False))


@pytest.fixture(scope="session")
def one_chunk(tmp_path_factory: pytest.TempPathFactory) -> Encoded:
    """200 pictures at 30000/1001 in two sizes, a cut at picture 77, two languages; made by one encoder process."""
    return encode(tmp_path_factory.mktemp("one"), frames=200, rungs=RUNGS, audio=SOUNDS)


@pytest.fixture(scope="session")
def three_chunks(tmp_path_factory: pytest.TempPathFactory) -> Encoded:
    """The same pictures made by three encoder processes; the second one starts inside a segment."""
    return encode(tmp_path_factory.mktemp("three"), frames=200, chunk_starts=(0, 90, 120), rungs=RUNGS, audio=SOUNDS)


@pytest.fixture
def published(three_chunks: Encoded, tmp_path: Path) -> Path:
    """A folder with a good result, to be damaged."""
    three_chunks.package(tmp_path / "out")
    return tmp_path / "out"


@pytest.fixture
def rewrite(published: Path) -> Callable[[str, str, str], None]:
    """Replaces text in a published file; it must be there."""

    def change(name: str, old: str, new: str) -> None:
        text = (published / name).read_text()
        assert old in text
        (published / name).write_text(text.replace(old, new, 1))

    return change
