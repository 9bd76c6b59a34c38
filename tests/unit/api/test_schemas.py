"""What callers may send."""

import json

import pytest

from vidcompute.api.problems import InvalidFields, MalformedBody
from vidcompute.api.schemas import JobRequest, RequeueIn, parse_body, spec_out
from vidcompute.api.submit import display_name
from vidcompute.domain.job import Codec, FramesSpec, JobSpec, OutputSpec, Packaging, Priority


def spec(**fields) -> JobSpec:
    body = json.dumps({"input": "https://example.com/a.mp4", **fields}).encode()
    asked = parse_body(JobRequest, body)
    return asked.to_domain(asked.input, max_attempts=4)


def faults(**fields) -> list[tuple[str, str]]:
    with pytest.raises(InvalidFields) as caught:
        spec(**fields)
    return [(field.pointer, field.msg) for field in caught.value.fields]


def test_only_input_is_required():
    assert spec() == JobSpec(input="https://example.com/a.mp4")


def test_a_full_spec_becomes_the_domains():
    made = spec(
        outputs=[{"height": 720, "bitrate": "3M"}, {"height": 360, "codec": "av1"}],
        bitrate=800_000,
        packaging=["dash"],
        quality={"vmaf": 93},
        frames={"mode": "fps", "fps": 2},
        priority="high",
        max_attempts=2,
    )

    assert made.outputs == (OutputSpec(720, None, 3_000_000), OutputSpec(360, Codec.AV1, None))
    assert made.bitrate_bps == 800_000
    assert made.packaging == (Packaging.DASH,)
    assert made.quality_vmaf == 93
    assert made.frames == FramesSpec(mode="fps", fps=2)
    assert made.priority is Priority.HIGH
    assert made.max_attempts == 2


def test_an_unknown_field_is_an_error_that_names_it():
    assert faults(heigth=720) == [("/heigth", "unknown field 'heigth'")]


def test_a_wrong_key_is_pointed_at_by_its_own_place():
    assert [pointer for pointer, _ in faults(tags={"a b": "c"})] == ["/tags/a b"]


def test_every_wrong_field_is_named_at_once():
    found = faults(priority="urgent", outputs=[{"height": 720}, {"hight": 3}], max_attempts=0)

    assert [pointer for pointer, _ in found] == [
        "/priority",
        "/outputs/1/height",
        "/outputs/1/hight",
        "/max_attempts",
    ]


@pytest.mark.parametrize(
    ("text", "bps"), [("3M", 3_000_000), ("800k", 800_000), ("2.5 Mbps", 2_500_000), ("500000", 500_000)]
)
def test_bit_rates_are_read_as_people_write_them(text, bps):
    assert spec(bitrate=text).bitrate_bps == bps


@pytest.mark.parametrize("text", ["fast", "3G", "-3M", "", "1", "9999M", 5, True])
def test_other_bit_rates_are_wrong(text):
    assert faults(bitrate=text)[0][0] == "/bitrate"


@pytest.mark.parametrize(
    "source", ["https://a/b.mp4", "http://a/b", "gs://b/k", "s3://b/k", "file:///a/b", "upload:0123"]
)
def test_inputs_of_known_schemes_are_taken(source):
    assert spec(input=source).input == source


@pytest.mark.parametrize(
    "source", ["beach.mp4", "ftp://a/b", "upload:", "https://", "file://", "//a/b", "http://[::1", "https:///x"]
)
def test_other_inputs_are_wrong(source):
    assert faults(input=source)[0][0] == "/input"


@pytest.mark.parametrize("text", ["a\x00b"])
def test_what_postgres_cannot_keep_is_wrong(text):
    assert faults(name=text)[0][0] == "/name"
    assert faults(tags={"a": text})[0][0] == "/tags/a"


def test_lone_surrogates_are_no_json():
    with pytest.raises(MalformedBody):
        parse_body(JobRequest, b'{"input": "https://a/b", "name": "\\ud800"}')


@pytest.mark.parametrize("body", [b"", b"{", b"nonsense", b"\xff"])
def test_a_body_that_is_no_json_is_malformed(body):
    with pytest.raises(MalformedBody):
        parse_body(JobRequest, body)


@pytest.mark.parametrize("body", [b"[]", b"1", b'"x"', b"null"])
def test_json_that_is_no_object_does_not_fit(body):
    with pytest.raises(InvalidFields):
        parse_body(JobRequest, body)


def test_a_stored_spec_is_shown_in_the_words_of_the_request():
    shown = spec_out(spec(outputs=[{"height": 720, "bitrate": "3M"}], quality={"vmaf": 90}))

    again = parse_body(JobRequest, json.dumps(shown).encode())

    assert spec_out(again.to_domain(again.input, max_attempts=4)) == shown


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("beach.mp4", "beach.mp4"),
        ("C:\\films\\beach.mp4", "beach.mp4"),
        ("../../etc/passwd", "passwd"),
        ("https://a/b/c.mp4?token=1", "c.mp4"),
        ("a\nb\x00.mp4", "ab.mp4"),
        ("", "video"),
        (None, "video"),
        ("evil\u202egpj.mp4", "evilgpj.mp4"),
        ("/", "video"),
    ],
)
def test_names_are_the_last_part_without_tricks(raw, name):
    assert display_name(raw, default="video") == name


@pytest.mark.parametrize("field", sorted(JobRequest.model_fields))
def test_null_is_an_answer_and_never_a_crash(field):
    try:
        spec(**{field: None})
    except (InvalidFields, MalformedBody):
        assert JobRequest.model_fields[field].default is not None


def test_requeue_wants_ids_or_all():
    assert parse_body(RequeueIn, b'{"all": true, "ids": null}').all
    assert parse_body(RequeueIn, b'{"all": null, "ids": ["a"]}').ids == ["a"]
    for body in (b"{}", b'{"all": true, "ids": ["a"]}', b'{"ids": []}'):
        with pytest.raises(InvalidFields):
            parse_body(RequeueIn, body)
