"""Ranges, tags, names, and what an Accept header wants."""

import pytest
from starlette.exceptions import HTTPException

from vidcompute.api.accept import best
from vidcompute.api.files import byte_range, content_type, inside, matches
from vidcompute.errors import NotFound


@pytest.mark.parametrize(
    ("header", "span"),
    [
        (None, None),
        ("bytes=0-9", (0, 10)),
        ("bytes=90-", (90, 100)),
        ("bytes=90-1000", (90, 100)),
        ("bytes=-10", (90, 100)),
        ("bytes=-1000", (0, 100)),
        ("bytes=5-4", None),
        ("bytes=0-1,3-4", None),
        ("bytes=-", None),
        ("lines=0-9", None),
        ("bytes=0-" + "9" * 100, None),
    ],
)
def test_ranges_are_taken_whole_or_ignored(header, span):
    assert byte_range(header, 100) == span


@pytest.mark.parametrize(("header", "size"), [("bytes=100-", 100), ("bytes=-0", 100), ("bytes=0-", 0)])
def test_a_range_outside_the_object_is_not_satisfiable(header, size):
    with pytest.raises(HTTPException) as caught:
        byte_range(header, size)

    assert caught.value.status_code == 416
    assert caught.value.headers == {"Content-Range": f"bytes */{size}"}


@pytest.mark.parametrize(
    ("header", "hit"),
    [(None, False), ('"a"', True), ('W/"a"', True), ('"b", "a"', True), ('"b"', False), ("*", True)],
)
def test_tags_are_compared_weakly(header, hit):
    assert matches(header, '"a"') is hit


@pytest.mark.parametrize(
    "path", ["../x", "a/../b", "/etc/passwd", ".hidden", "a//b", "", "a\x00", "a b", "%2e%2e/x", "a/b/c/d/e", "a\\b"]
)
def test_only_plain_names_lead_into_a_result(path):
    with pytest.raises(NotFound):
        inside("default/jobs/job_1/1", path)


def test_a_plain_name_is_a_key_below_the_prefix():
    assert inside("default/jobs/job_1/1/", "anchors/a_0.jpg") == "default/jobs/job_1/1/anchors/a_0.jpg"


def test_types_are_those_that_players_want():
    assert content_type("master.m3u8") == "application/vnd.apple.mpegurl"
    assert content_type("v0_00000.m4s") == "video/iso.segment"
    assert content_type("strange.html") == "application/octet-stream"


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (None, "text/event-stream"),
        ("*/*", "text/event-stream"),
        ("text/plain", "text/plain"),
        ("text/*;q=0.5, application/x-ndjson", "application/x-ndjson"),
        ("text/event-stream;q=0, */*", "application/x-ndjson"),
        ("text/plain;q=0.2, application/x-ndjson;q=0.1", "text/plain"),
        ("image/png", None),
        ("text/plain;q=nonsense", None),
    ],
)
def test_the_best_type_is_what_accept_likes_most(accept, kind):
    assert best(accept, ("text/event-stream", "application/x-ndjson", "text/plain")) == kind
