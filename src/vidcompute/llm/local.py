"""The describer that needs no model: sentences from measured facts, and from nothing else.

It never names an object, a person or a place: what it cannot measure it leaves empty, so that a search for
"dog" finds no frame of which nobody said so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vidcompute.domain.frames import Anchor, Description, Facts, OnScreenText

KIND = "visual"
MODEL = "facts-1"
PROMPT_VERSION = 1

#: Upper ends of the words for brightness (mean luma) and for motion (mean difference of frames, both 0 to 1).
_BRIGHTNESS = ((0.12, "very dark"), (0.3, "dark"), (0.62, "medium"), (0.82, "bright"), (1.0, "very bright"))
_MOTION = ((0.0008, "none"), (0.006, "little"), (0.03, "some"), (1.0, "strong"))
_LOW_CONTRAST, _HIGH_CONTRAST = 0.06, 0.3
#: Characters of on-screen text that the summary quotes; all of it stands in `ocr_text`.
_QUOTED_CHARACTERS = 160
_NAMED_COLORS = 3
#: CSS writes these as one word; people say and search for two.
_SPOKEN = {
    "dimgray": "dim gray",
    "darkgreen": "dark green",
    "darkslategray": "dark slate gray",
    "midnightblue": "midnight blue",
    "seagreen": "sea green",
    "skyblue": "sky blue",
    "steelblue": "steel blue",
}


@dataclass(frozen=True, slots=True)
class LocalInput:
    """One anchor, its time from the start of the video, and what was read on it (in reading order).

    Scenes have no number here: describing begins before the chunks are counted together.
    """

    anchor: Anchor
    ts_ms: int
    text: Sequence[OnScreenText] = ()
    ocr_cpu_s: float = 0.0


def describe(anchors: Sequence[LocalInput]) -> list[Description]:
    """One description per anchor, in the same order. `context` has every key of the schema."""
    return [
        Description(
            pts=item.anchor.pts,
            kind=KIND,
            source="local",
            model=MODEL,
            prompt_version=PROMPT_VERSION,
            status="done",
            context=_context(item),
            ocr_cpu_s=item.ocr_cpu_s,
        )
        for item in anchors
    ]


def _context(item: LocalInput) -> dict[str, object]:
    facts, lines = item.anchor.facts, _unique(item.text)
    return {
        "summary": summary(item),
        # Nobody looked: empty means "not said", and the source "local" says by whom.
        "objects": [],
        "actions": [],
        "setting": None,
        "people": None,
        "ocr_text": lines,
        "text_boxes": [{"text": line.text, "confidence": line.confidence, "box": list(line.box)} for line in item.text],
        "colors": [{"name": name, "share": share} for name, share in facts.colors],
        "brightness": facts.brightness,
        "brightness_word": _word(_BRIGHTNESS, facts.brightness),
        "contrast": facts.contrast,
        "sharpness": facts.sharpness,
        "motion": facts.motion,
        "motion_word": _word(_MOTION, facts.motion),
        "black": facts.black,
        "frozen": facts.frozen,
        "opens_scene": item.anchor.opens_scene,
    }


def summary(item: LocalInput) -> str:
    """What one would say of the picture from its measures, e.g.

    "Dark picture, mostly navy and gray; little motion. Text on screen: “EXIT 12”. A new scene begins."
    """
    sentences = [_picture(item.anchor.facts)]
    lines = _unique(item.text)
    if lines:
        sentences.append(f"Text on screen: {_quoted(lines)}.")
    if item.anchor.opens_scene:
        sentences.append("A new scene begins." if item.ts_ms > 0 else "Start of the video.")
    return " ".join(sentences)


def _picture(facts: Facts) -> str:
    if facts.black:
        return "Black frame."
    names = [_SPOKEN.get(name, name) for name, _ in facts.colors[:_NAMED_COLORS]]
    brightness = _word(_BRIGHTNESS, facts.brightness)
    words = ["Picture" if brightness == "medium" else f"{brightness.capitalize()} picture"]
    if len(names) == 1:
        words.append(f"almost all {names[0]}" if facts.colors[0][1] >= 0.9 else f"mostly {names[0]}")
    else:
        words.append(f"mostly {', '.join(names[:-1])} and {names[-1]}")
    if facts.contrast < _LOW_CONTRAST:
        words.append("low contrast")
    elif facts.contrast > _HIGH_CONTRAST:
        words.append("high contrast")
    return f"{', '.join(words)}; {_movement(facts)}."


def _movement(facts: Facts) -> str:
    if facts.frozen:
        return "the picture stands still"
    word = _word(_MOTION, facts.motion)
    return "no motion" if word == "none" else f"{word} motion"


def _quoted(lines: Sequence[str]) -> str:
    quoted: list[str] = []
    room = _QUOTED_CHARACTERS
    for line in lines:
        if len(line) > room:
            left = len(lines) - len(quoted)
            quoted.append(f"“{line[:room].rstrip()}…”" if not quoted else f"and {left} more")
            break
        quoted.append(f"“{line}”")
        room -= len(line)
    return ", ".join(quoted)


def _unique(text: Sequence[OnScreenText]) -> list[str]:
    return list(dict.fromkeys(line.text for line in text))


def _word(scale: Sequence[tuple[float, str]], value: float) -> str:
    return next((word for end, word in scale if value <= end), scale[-1][1])
