"""Whatever the bytes, the reader ends soon, and says OutputInvalid or nothing."""

import io
import string

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.media.synthetic import audio_init, chunk, init, sound
from vidcompute.errors import OutputInvalid
from vidcompute.media.boxes import box, walk
from vidcompute.media.fragments import read_fragments
from vidcompute.media.lint import lint
from vidcompute.media.tracks import read_head

VIDEO = chunk(40, gop=20)
SOUND = sound(12, head=audio_init(media_times=[-1, 1024]))
TRACK = read_head(io.BytesIO(init()), where="v0").track


def read_all(data: bytes) -> None:
    """Reads what can be read; only OutputInvalid may come out of it."""
    file = io.BytesIO(data)
    try:
        head = read_head(file, where="x")
        track = head.track if head else TRACK
        fragments = list(read_fragments(file, track, where="x"))
    except OutputInvalid:
        return
    for fragment in fragments:
        assert 0 <= fragment.moof.offset < fragment.mdat.end <= len(data)
        assert sum(fragment.samples.sizes) == fragment.mdat.size - fragment.mdat.header


@given(st.sampled_from([VIDEO, SOUND]), st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), max_size=8))
def test_flipped_bytes_never_break_the_reader(data: bytes, flips: list[tuple[int, int]]):
    damaged = bytearray(data)
    for place, value in flips:
        damaged[place % len(damaged)] = value

    read_all(bytes(damaged))


@given(st.sampled_from([VIDEO, SOUND]), st.integers(0, 2**16), st.integers(0, 2**16), st.binary(max_size=40))
def test_cut_out_and_foreign_pieces_never_break_the_reader(data: bytes, start: int, length: int, foreign: bytes):
    start %= len(data)

    read_all(data[:start] + foreign + data[start + length % 200 :])


@given(st.binary(max_size=400))
def test_noise_never_breaks_the_reader(data: bytes):
    read_all(data)
    read_all(box("moov", data))
    read_all(init() + box("moof", box("traf", data)) + box("mdat", data))


@given(
    st.recursive(
        st.binary(max_size=20), lambda inner: st.lists(inner, max_size=4).map(b"".join).map(lambda b: box("free", b))
    )
)
def test_what_was_written_is_walked_to_the_end(data: bytes):
    whole = box("moov", data)

    (found,) = walk(whole, where="x")

    assert bytes(found.body) == data


@given(st.text(alphabet=string.printable, max_size=300))
def test_no_text_breaks_the_linter(text: str):
    for breach in lint("#EXTM3U\n" + text):
        assert breach.detail
        assert breach.rule
