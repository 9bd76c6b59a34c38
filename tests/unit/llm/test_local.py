import json

import pytest

from vidcompute import wire
from vidcompute.domain.frames import Anchor, Facts, OnScreenText
from vidcompute.llm.local import LocalInput, describe, summary


def facts(**changed) -> Facts:
    measured = {
        "colors": (("navy", 0.61), ("gray", 0.2)), "brightness": 0.2, "contrast": 0.15, "sharpness": 120.0,
        "motion": 0.004, "black": False, "frozen": False, "text_likelihood": 0.1,
    }  # fmt: skip
    return Facts(**{**measured, **changed})


def anchor(*, pts: int = 100, opens_scene: bool = False, **changed) -> Anchor:
    return Anchor(pts, 0, 0, facts(**changed), f"a_{pts}.jpg", opens_scene)


def line(text: str) -> OnScreenText:
    return OnScreenText(text, 0.98, (0.1, 0.8, 0.4, 0.9))


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (
            LocalInput(anchor(), 4000, (line("EXIT 12"),)),
            "Dark picture, mostly navy and gray; little motion. Text on screen: “EXIT 12”.",
        ),
        (LocalInput(anchor(black=True), 4000), "Black frame."),
        (LocalInput(anchor(black=True, opens_scene=True), 0), "Black frame. Start of the video."),
        (
            LocalInput(anchor(colors=(("white", 0.97),), brightness=0.9, frozen=True, opens_scene=True), 9000),
            "Very bright picture, almost all white; the picture stands still. A new scene begins.",
        ),
        (
            LocalInput(anchor(brightness=0.5, motion=0.1, contrast=0.4), 1),
            "Picture, mostly navy and gray, high contrast; strong motion.",
        ),
        (
            LocalInput(anchor(colors=(("tan", 0.4), ("olive", 0.3), ("white", 0.2), ("red", 0.1)), motion=0.0), 1),
            "Dark picture, mostly tan, olive and white; no motion.",
        ),
    ],
)
def test_the_summary_says_what_was_measured(item, expected):
    assert summary(item) == expected


def test_nothing_is_said_of_objects_actions_people_and_places():
    (description,) = describe([LocalInput(anchor(), 0, (line("dog"),))])

    context = description.context
    assert (context["objects"], context["actions"], context["setting"], context["people"]) == ([], [], None, None)


def test_a_description_names_its_source_and_costs_nothing():
    (description,) = describe([LocalInput(anchor(pts=77), 0, ocr_cpu_s=0.4)])

    assert (description.pts, description.kind, description.source, description.model) == (
        77,
        "visual",
        "local",
        "facts-1",
    )
    assert (description.status, description.prompt_version) == ("done", 1)
    assert (description.prompt_tokens, description.completion_tokens, description.cost_usd) == (0, 0, 0.0)
    assert description.ocr_cpu_s == 0.4


def test_every_line_of_text_is_kept_once_in_reading_order_with_its_boxes():
    text = tuple(map(line, ("menu", "Open", "menu")))

    (description,) = describe([LocalInput(anchor(), 0, text)])

    assert description.context["ocr_text"] == ["menu", "Open"]
    assert [box["text"] for box in description.context["text_boxes"]] == ["menu", "Open", "menu"]


def test_the_summary_of_a_page_of_text_quotes_its_beginning():
    item = LocalInput(anchor(), 0, tuple(line(f"line number {n} of the page") for n in range(50)))

    said = summary(item)

    assert "“line number 0 of the page”" in said
    assert said.endswith("and 44 more.")
    assert len(said) < 400


def test_one_very_long_line_is_cut_off():
    assert "…”." in summary(LocalInput(anchor(), 0, (line("word " * 100),)))


def test_a_description_per_anchor_in_the_same_order_as_json():
    found = describe([LocalInput(anchor(pts=pts), pts) for pts in (5, 3, 9)])

    assert [description.pts for description in found] == [5, 3, 9]
    assert json.loads(wire.dumps(found[0]))["context"]["colors"] == [
        {"name": "navy", "share": 0.61},
        {"name": "gray", "share": 0.2},
    ]


def test_no_anchors_have_no_descriptions():
    assert describe([]) == []


def test_colours_of_two_words_are_written_as_people_search_for_them():
    said = summary(LocalInput(anchor(colors=(("midnightblue", 0.6), ("skyblue", 0.3))), ts_ms=0))

    assert "midnight blue" in said
    assert "sky blue" in said
