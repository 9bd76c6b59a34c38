"""Cursors and ids."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidcompute.errors import InvalidInput, NotFound
from vidcompute.store.page import decode_cursor, encode_cursor, job_text, job_uuid, new_job_uuid

KEYS = st.lists(st.text() | st.integers() | st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=4)


@given(KEYS)
def test_a_cursor_gives_back_its_key(key):
    try:
        cursor = encode_cursor(*key)
    except UnicodeEncodeError:
        return
    if len(cursor) <= 1000:
        assert decode_cursor(cursor, *map(type, key)) == tuple(key)


@given(st.text(max_size=200))
def test_any_other_text_is_refused_as_the_callers_mistake(text):
    try:
        key = decode_cursor(text, str, int)
    except InvalidInput:
        return
    assert [type(part) for part in key] == [str, int]


@pytest.mark.parametrize("key", [(True,), (1.0,), ("1",), (1, 2), ()])
def test_a_key_of_other_kinds_is_refused(key):
    with pytest.raises(InvalidInput):
        decode_cursor(encode_cursor(*key), int)


@given(st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10))
def test_ids_are_uuids_of_version_7_that_hold_their_time(now_ms, randomness):
    made = new_job_uuid(now_ms, randomness)

    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert made.int >> 80 == now_ms
    assert job_uuid(job_text(made)) == made


def test_later_ids_sort_later_as_text():
    early, late = new_job_uuid(1_700_000_000_000, b"\xff" * 10), new_job_uuid(1_700_000_000_001, b"\0" * 10)

    assert job_text(early) < job_text(late)


@given(st.text(max_size=60))
def test_text_that_is_no_id_is_not_found(text):
    with pytest.raises(NotFound):
        job_uuid("job_" + text[:31])
    with pytest.raises(NotFound):
        job_uuid(text.replace("job_", ""))
