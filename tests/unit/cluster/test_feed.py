import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidcompute.cluster.feed import Lines, parse_event
from vidcompute.domain.task import TaskEvent, TaskEventKind


def cut(max_bytes, *pieces):
    lines = Lines(max_bytes)
    return [line for piece in pieces for line in lines.feed(piece)], lines.rest()


def test_lines_are_joined_over_pieces():
    assert cut(10, b"on", b"e\ntw", b"o\nthr") == ([(b"one", False), (b"two", False)], b"thr")


def test_long_line_is_cut_once_and_the_next_is_whole():
    assert cut(4, b"123456", b"789", b"0\nnext\n") == ([(b"1234", True), (b"next", False)], b"")


def test_line_of_exactly_the_limit_is_whole():
    assert cut(4, b"1234\n12345\n") == ([(b"1234", False), (b"1234", True)], b"")


@given(st.lists(st.binary(max_size=20), max_size=20), st.integers(1, 8), st.data())
def test_any_bytes_in_any_pieces_give_the_same_bounded_lines(chunks, max_bytes, data):
    stream = b"\n".join(chunks)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]

    lines, _ = cut(max_bytes, *pieces)

    expected = [(line[:max_bytes], len(line) > max_bytes) for line in stream.split(b"\n")]
    # An unfinished last line is told only if it is too long already.
    assert lines == expected[:-1] or lines == expected
    assert all(len(line) <= max_bytes for line, _ in lines)


def test_event_is_that_of_the_task_whatever_it_claims():
    event = parse_event("mine", b'{"task_id": "yours", "kind": "progress", "data": {"percent": 5}}')

    assert event == TaskEvent("mine", TaskEventKind.PROGRESS, {"percent": 5})


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"task_id": "t", "kind": "dance", "data": {}}',
        b'{"task_id": "t", "kind": "lost", "data": {}}',
        b'{"task_id": "t", "kind": "started", "data": {}}',
        b'{"task_id": "t", "kind": "progress", "data": []}',
    ],
)
def test_what_is_no_event_of_a_task_becomes_a_log_event(line):
    event = parse_event("t", line)

    assert (event.task_id, event.kind, event.data["level"]) == ("t", TaskEventKind.LOG, "warning")
