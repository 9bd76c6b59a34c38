"""Values on their way into Postgres."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidcompute.domain.job import JobSpec, JobStatus
from vidcompute.errors import InvalidConfig
from vidcompute.store.db import checked_dsn, clean_text, jsonb, storable
from vidcompute.store.records import initial_parts, reopened_parts, settled_parts

ANY_TEXT = st.text(st.characters(codec=None, categories=None))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_whatever_a_stranger_wrote_becomes_json_that_postgres_takes(value):
    text = json.dumps(storable(value), ensure_ascii=False, allow_nan=False)

    text.encode()
    assert "\\u0000" not in text
    assert "\0" not in text


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_honest_text_is_not_touched(text):
    assert clean_text(text) == text


def test_what_json_cannot_hold_is_null():
    assert storable({"a": float("nan"), "b": [float("-inf"), 1.5], 3: (True,)}) == {
        "a": None,
        "b": [None, 1.5],
        "3": [True],
    }
    assert jsonb({"a": 1}).obj == {"a": 1}


def test_a_dsn_keeps_its_parts_and_says_who_we_are():
    assert "application_name=vidcompute" in checked_dsn("postgresql://u@h:1/d")


@pytest.mark.parametrize("dsn", ["redis://:secret@h/0", "postgresql://u:secret@[h/d", "nonsense secret"])
def test_a_dsn_that_is_none_is_refused_without_its_password(dsn):
    with pytest.raises(InvalidConfig) as caught:
        checked_dsn(dsn)

    assert "secret" not in str(caught.value.problem())


def test_parts_follow_the_life_of_a_job():
    parts = initial_parts(JobSpec(input="file:///a", enable_llm=True))
    parts["hls"] = {"status": "succeeded", "playable": True}

    canceled = settled_parts(parts, JobStatus.CANCELED)
    reopened = reopened_parts(canceled)

    assert canceled == {"hls": {"status": "succeeded", "playable": True}, "context": {"status": "canceled"}}
    assert reopened["context"]["status"] == "pending"
    assert reopened["hls"]["status"] == "succeeded"
