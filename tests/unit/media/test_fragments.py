import io

import pytest

from tests.unit.media.synthetic import NON_SYNC, fragment, init
from vidcompute.errors import OutputInvalid
from vidcompute.media.boxes import box, full_box
from vidcompute.media.fragments import Fragment, read_fragments
from vidcompute.media.tracks import read_head

HEAD = read_head(io.BytesIO(init()), where="v0")
assert HEAD is not None
TRACK = HEAD.track


def fragments_of(data: bytes) -> list[Fragment]:
    return list(read_fragments(io.BytesIO(data), TRACK, where="v0"))


def with_run(trun: bytes, payload: bytes = b"") -> bytes:
    """A fragment around `trun`, whose data offset is ignored because none is given."""
    tfhd = full_box("tfhd", (0, 0x020000), (1).to_bytes(4))
    moof = box(
        "moof", full_box("mfhd", (0, 0), (1).to_bytes(4)), box("traf", tfhd, full_box("tfdt", (0, 0), bytes(4)), trun)
    )
    return moof + box("mdat", payload)


def test_a_fragment_says_where_and_when():
    data = init() + fragment(tfdt=90090, samples=30, sequence=7)

    (found,) = fragments_of(data)

    assert found.moof.offset == len(init())
    assert found.mdat.end == len(data)
    assert (found.sequence, found.tfdt, found.samples.duration, found.end) == (7, 90090, 30030, 120120)
    assert found.starts_sync
    assert list(found.samples.sizes) == [6] * 30


def test_a_fragment_that_starts_with_a_dependent_picture_says_so():
    (found,) = fragments_of(fragment(tfdt=0, samples=2, first_flags=NON_SYNC))

    assert not found.starts_sync


def test_the_first_picture_shown_need_not_be_the_first_decoded():
    # Per sample: duration, size, flags, composition offset; pictures are decoded in the order 1, 0.
    rows = [(1001, 1, 0x02000000, 2002), (1001, 1, 0x01010000, 0)]
    payload = b"".join(
        d.to_bytes(4) + s.to_bytes(4) + f.to_bytes(4) + c.to_bytes(4, signed=True) for d, s, f, c in rows
    )
    # The moof has 8 + 16 (mfhd) + 8 (traf) + 16 (tfhd) + 16 (tfdt) + 20 + 32 (trun) bytes; the data follow 8 bytes on.
    trun = full_box("trun", (1, 0xF01), (2).to_bytes(4), (124).to_bytes(4), payload)

    (found,) = fragments_of(with_run(trun, b"ab"))

    assert found.earliest == 1001
    assert found.starts_sync


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (fragment(tfdt=0, samples=1)[:-14], "has no mdat"),
        (fragment(tfdt=0, samples=1)[:-14] + box("free"), "'free' instead of mdat"),
        (box("mdat", b"x"), "belongs to no moof"),
        (fragment(tfdt=0, samples=1, offset_error=1), "names 6 bytes from"),
        (box("moof") + box("mdat"), "no traf"),
        (with_run(full_box("trun", (0, 0), (0).to_bytes(4))), "with 0 samples"),
        (with_run(full_box("trun", (0, 0), (2**32 - 1).to_bytes(4))), "with 4294967295 samples"),
        (
            with_run(full_box("trun", (0, 0x200), (9).to_bytes(4), (1).to_bytes(4))),
            "36 bytes wanted at position 8, 4 are left",
        ),
        (with_run(full_box("trun", (0, 0), (1).to_bytes(4)) * 2), "exactly one track run"),
        (fragment(tfdt=2**64 - 1024, samples=1), "decode time 18446744073709550592 lies beyond"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_fragment_that_could_not_be_moved_is_refused(data: bytes, says: str):
    with pytest.raises(OutputInvalid, match=says):
        fragments_of(data)


def test_absolute_data_offsets_are_refused():
    tfhd = full_box("tfhd", (0, 0x1), (1).to_bytes(4), bytes(8))
    trun = full_box("trun", (0, 0), (1).to_bytes(4))
    moof = box("moof", full_box("mfhd", (0, 0), bytes(4)), box("traf", tfhd, full_box("tfdt", (0, 0), bytes(4)), trun))

    with pytest.raises(OutputInvalid, match="absolute data offsets"):
        fragments_of(moof + box("mdat"))
