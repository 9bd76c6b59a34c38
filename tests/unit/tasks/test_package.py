"""What a package task tells beside its result."""

from __future__ import annotations

from vidcompute.tasks.package import damage


def test_what_the_decoder_could_not_read_is_said_once():
    (warning,) = damage([{"decode_errors": 2}, {"decode_errors": 0}, {"decode_errors": 1}])

    assert warning["code"] == "damaged"
    assert "3 error(s)" in warning["detail"]


def test_a_source_without_a_complaint_has_no_warning():
    assert damage([{"decode_errors": 0}]) == []
