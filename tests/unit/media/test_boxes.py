import io

import pytest

from vidcompute.errors import OutputInvalid
from vidcompute.media.boxes import HEADER_LIMIT_BYTES, Cursor, Extent, box, extents, full_box, load, walk


def test_boxes_are_read_in_order_with_their_offsets():
    data = box("ftyp", b"iso6") + box("free", bytes(3))

    found = [(child.kind, child.offset, child.size, bytes(child.body)) for child in walk(data, where="x")]

    assert found == [("ftyp", 0, 12, b"iso6"), ("free", 12, 11, bytes(3))]


def test_a_64_bit_size_is_understood():
    data = (1).to_bytes(4) + b"mdat" + (20).to_bytes(8) + b"data"

    (found,) = walk(data, where="x")

    assert (found.size, bytes(found.body)) == (20, b"data")


def test_size_zero_reaches_to_the_end():
    data = bytes(4) + b"mdat" + b"all the rest"

    (extent,) = extents(io.BytesIO(data), where="x")

    assert (extent.size, extent.body_offset, extent.end) == (20, 8, 20)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"\0\0\0", "3 bytes at byte 0 are too few"),
        ((7).to_bytes(4) + b"free", "says 7 bytes"),
        ((9).to_bytes(4) + b"free", "says 9 bytes, 8 are there"),
        ((1).to_bytes(4) + b"mdat", "lacks its 64-bit size"),
        ((1).to_bytes(4) + b"mdat" + (15).to_bytes(8), "says 15 bytes"),
        ((1).to_bytes(4) + b"mdat" + (2**63).to_bytes(8), "16 are there"),
    ],
)
def test_a_size_that_cannot_be_is_refused_in_memory_and_in_files(data: bytes, says: str):
    with pytest.raises(OutputInvalid, match=says):
        list(walk(data, where="x"))
    with pytest.raises(OutputInvalid, match=says):
        list(extents(io.BytesIO(data), where="x"))


def test_a_child_may_not_reach_out_of_its_parent():
    parent = box("moov", (100).to_bytes(4) + b"trak") + bytes(200)

    moov = next(walk(parent, where="clip.mp4"))

    with pytest.raises(OutputInvalid, match=r"clip.mp4: the 'trak' box at byte 8 says 100 bytes, 8 are there"):
        moov.need("trak")


def test_a_missing_descendant_is_named_with_its_path():
    moov = next(walk(box("moov", box("trak")), where="clip.mp4"))

    assert moov.find("trak", "mdia", "mdhd") is None
    with pytest.raises(OutputInvalid, match="no trak/mdia/mdhd in the moov box at byte 0"):
        moov.need("trak", "mdia", "mdhd")


def test_more_boxes_than_any_file_has_are_refused():
    with pytest.raises(OutputInvalid, match="more than 10000 boxes"):
        list(walk(box("free") * 10_001, where="x"))


def test_fields_are_read_one_after_another_and_never_beyond():
    fields = Cursor(full_box("tfdt", (1, 2), (3).to_bytes(8), (-4).to_bytes(4, signed=True))[8:], "tfdt")

    assert fields.full() == (1, 2)
    assert fields.u64() == 3
    assert fields.i32() == -4
    assert fields.remaining == 0
    with pytest.raises(OutputInvalid, match="tfdt: 1 bytes wanted at position 16, 0 are left"):
        fields.u8()


def test_media_data_are_never_loaded():
    huge = Extent("moov", 0, HEADER_LIMIT_BYTES + 1, 8)

    with pytest.raises(OutputInvalid, match="the moov box at byte 0 has"):
        load(io.BytesIO(), huge, where="x")


def test_a_file_that_shrinks_while_it_is_read_is_refused():
    with pytest.raises(OutputInvalid, match="shrank"):
        load(io.BytesIO(b"1234"), Extent("moov", 0, 100, 8), where="x")


def test_a_box_too_long_for_32_bits_is_not_written():
    class Long(bytes):
        def __len__(self) -> int:
            return 1 << 32

    with pytest.raises(ValueError, match="64-bit size"):
        box("mdat", Long())
