import pytest

from tests.unit.media.published import manifest, rendition, segments, sound
from vidcompute.domain.media import Transfer
from vidcompute.media import hls
from vidcompute.media.lint import lint
from vidcompute.media.playlists import attributes, parse_playlist

BEST = rendition("v0", bitrate_bps=4_000_000, peak_bitrate_bps=5_000_000)
MIDDLE = rendition("v1", bitrate_bps=1_500_000, peak_bitrate_bps=1_800_000, width_px=854, height_px=480)
LEAST = rendition("v2", bitrate_bps=500_000, peak_bitrate_bps=600_000, width_px=640, height_px=360)


def variants(text: str) -> list[tuple[str, dict[str, str]]]:
    return [(entry.uri, attributes(entry.tags["EXT-X-STREAM-INF"])) for entry in parse_playlist(text).entries]


def media(text: str) -> list[dict[str, str]]:
    return [attributes(tag) for tag in parse_playlist(text).named("EXT-X-MEDIA")]


def test_a_complete_playlist_reads_as_the_rules_want_it():
    text = hls.media_playlist(rendition(), target_duration_s=6)

    assert text == (
        "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:6\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n"
        '#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-MAP:URI="v0_init.mp4"\n'
        "#EXTINF:6.006000,\nv0_00000.m4s\n#EXTINF:6.006000,\nv0_00001.m4s\n#EXTINF:3.336667,\nv0_00002.m4s\n"
        "#EXT-X-ENDLIST\n"
    )
    assert lint(text) == []


def test_a_growing_playlist_is_the_beginning_of_the_complete_one():
    whole = rendition(durations=[180180] * 4)
    so_far = rendition(segments=whole.segments[:2])

    growing = hls.event_playlist(so_far, target_duration_s=6)

    complete = hls.media_playlist(whole, target_duration_s=6)
    assert complete.replace("PLAYLIST-TYPE:VOD", "PLAYLIST-TYPE:EVENT").startswith(growing)
    assert "#EXT-X-ENDLIST" not in growing
    assert lint(growing) == []


def test_rounded_durations_never_add_up_to_a_drift():
    # A third of a second each: rounded one by one, 3000 of them would be a millisecond short.
    stream = rendition(timescale=3, segments=segments("v0", [1] * 3000))

    playlist = parse_playlist(hls.media_playlist(stream, target_duration_s=1))

    assert playlist.duration() == 1000


def test_the_master_declares_what_was_measured():
    text = hls.master_playlist(manifest(renditions=[MIDDLE], audio=[sound()]))

    assert variants(text) == [
        (
            "v1.m3u8",
            {
                "BANDWIDTH": "1900000",
                "AVERAGE-BANDWIDTH": "1596000",
                "CODECS": "avc1.64001f,mp4a.40.2",
                "RESOLUTION": "854x480",
                "FRAME-RATE": "29.970",
                "VIDEO-RANGE": "SDR",
                "AUDIO": "audio-mp4a.40.2",
                "CLOSED-CAPTIONS": "NONE",
            },
        )
    ]
    assert lint(text) == []


def test_without_sound_there_is_no_audio_group():
    text = hls.master_playlist(manifest())

    assert media(text) == []
    assert "AUDIO" not in variants(text)[0][1]
    assert lint(text) == []


def test_the_first_variant_is_one_that_most_can_play_at_once():
    assert [uri for uri, _ in variants(hls.master_playlist(manifest(renditions=[BEST, MIDDLE, LEAST])))] == [
        "v1.m3u8",
        "v0.m3u8",
        "v2.m3u8",
    ]
    assert hls.starting_first([BEST]) == [BEST]


def test_two_languages_and_a_second_track_of_one_of_them():
    tracks = [
        sound("a0", language="en", label="en"),
        sound("a1", language="de", label="de", default=False),
        sound("a2", language="en", label="commentary", default=False),
    ]

    text = hls.master_playlist(manifest(audio=tracks))

    assert [(tag["NAME"], tag["LANGUAGE"], tag["DEFAULT"], tag["AUTOSELECT"]) for tag in media(text)] == [
        ("en", "en", "YES", "YES"),
        ("de", "de", "NO", "YES"),
        ("commentary", "en", "NO", "NO"),
    ]
    assert lint(text) == []


def test_sound_in_two_codecs_makes_two_groups_and_a_variant_for_each():
    tracks = [sound("a0"), sound("a1", codec="opus", default=False)]

    text = hls.master_playlist(manifest(audio=tracks))

    assert [(uri, values["CODECS"], values["AUDIO"]) for uri, values in variants(text)] == [
        ("v0.m3u8", "avc1.64001f,mp4a.40.2", "audio-mp4a.40.2"),
        ("v0.m3u8", "avc1.64001f,opus", "audio-opus"),
    ]
    assert lint(text) == []


@pytest.mark.parametrize(("transfer", "shown"), [(Transfer.PQ, "PQ"), (Transfer.HLG, "HLG")])
def test_high_dynamic_range_is_declared(transfer: Transfer, shown: str):
    text = hls.master_playlist(manifest(renditions=[rendition(transfer=transfer)]))

    assert variants(text)[0][1]["VIDEO-RANGE"] == shown


@pytest.mark.parametrize("text", ['a"b', "a\nb", "a\rb"])
def test_what_an_attribute_cannot_hold_is_never_quoted(text: str):
    with pytest.raises(ValueError, match="not a quoted string"):
        hls.quoted(text)
