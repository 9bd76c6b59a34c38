import pytest

from vidcompute.media.labels import distinct, label, language_tag


@pytest.mark.parametrize(
    ("stored", "tag"),
    [
        ("eng", "en"),
        ("ger", "de"),
        ("DEU", "de"),
        ("fil", "fil"),
        ("pt_BR", "pt-BR"),
        ("zh-Hant-TW", "zh-Hant-TW"),
        ("und", "und"),
        ("", "und"),
        ("english", "und"),
        ('en",URI="http://elsewhere/', "und"),
        ("en\n#EXT-X-ENDLIST", "und"),
        ("ёё", "und"),
    ],
)
def test_languages_become_bcp_47_tags_or_und(stored: str, tag: str):
    assert language_tag(stored) == tag


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("Director's cut", "Director's cut"),
        ('The "best" one', "The 'best' one"),
        ("two\r\nlines\u2028three\x00", "two lines three"),
        ("\u202egnp.exe", "gnp.exe"),
        ("  日本語  ", "日本語"),
        ("\x01\x02", "en"),
        ("", "en"),
        ("x" * 500, "x" * 64),
    ],
)
def test_titles_of_strangers_become_safe_names(title: str, shown: str):
    assert label(title, otherwise="en") == shown


def test_repeated_names_are_numbered_apart():
    assert distinct(["en", "en", "en (2)", "de", "en"]) == ["en", "en (2)", "en (2) (2)", "de", "en (3)"]
