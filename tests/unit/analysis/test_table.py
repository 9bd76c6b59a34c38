import gzip
from fractions import Fraction

import pytest

from vidcompute import wire
from vidcompute.analysis import table
from vidcompute.domain.frames import FrameTable
from vidcompute.errors import OutputInvalid

FRAMES = FrameTable(Fraction(1001, 30000), (-3, 0, 4), (0, 0, 1), (0, 0, 1), (1.0, 0.62, 1.0), starts_scene=False)


def test_a_table_comes_back_as_it_was():
    assert table.load(table.save(FRAMES)) == FRAMES


def test_the_same_table_gives_the_same_bytes():
    assert table.save(FRAMES) == table.save(FRAMES)


DAMAGED = {
    "empty": b"",
    "not gzip": b"not gzip",
    "cut off": table.save(FRAMES)[:20],
    "no columns": gzip.compress(b"{}"),
    "no time base": gzip.compress(b'{"time_base": "1/0", "pts": [], "scene": [], "anchor": [], "similarity": []}'),
    "uneven columns": gzip.compress(wire.dumps(FRAMES).replace(b"0.62,", b"")),
    "pts stand still": gzip.compress(wire.dumps(FRAMES).replace(b"[-3,0,4]", b"[-3,4,4]")),
}


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_table_is_refused(data):
    with pytest.raises(OutputInvalid, match="frame table"):
        table.load(data)
