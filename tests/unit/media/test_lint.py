import pytest

from tests.unit.media.published import manifest, rendition, sound
from vidcompute.errors import OutputInvalid
from vidcompute.media import hls
from vidcompute.media.lint import lint
from vidcompute.media.playlists import Tag, attributes, parse_playlist

MASTER = hls.master_playlist(manifest(audio=[sound(), sound("a1", language="de", label="de", default=False)]))
MEDIA = hls.media_playlist(rendition(), target_duration_s=6)


@pytest.mark.parametrize(
    ("text", "old", "new", "says"),
    [
        (MEDIA, "#EXTM3U\n", "", "begins with #EXTM3U"),
        (MEDIA, "#EXT-X-VERSION:7\n", "", "EXT-X-VERSION of at least 6"),
        (MEDIA, "VERSION:7", "VERSION:3", "EXT-X-VERSION of at least 6"),
        (MEDIA, "#EXT-X-INDEPENDENT-SEGMENTS\n", "", "EXT-X-INDEPENDENT-SEGMENTS is missing"),
        (MEDIA, "TARGETDURATION:6", "TARGETDURATION:5", "6.006000 s is over the target of 5 s"),
        (MEDIA, "#EXT-X-TARGETDURATION:6\n", "", "one EXT-X-TARGETDURATION"),
        (MEDIA, "TARGETDURATION:6", "TARGETDURATION:6.006", "in whole seconds"),
        (MEDIA, "#EXTINF:3.336667,\n", "", "v0_00002.m4s has no readable EXTINF"),
        (MEDIA, "#EXTINF:3.336667,", "#EXTINF:NaN,", "no readable EXTINF"),
        (MEDIA, "#EXTINF:3.336667,", "#EXTINF:Infinity,", "no readable EXTINF"),
        (MEDIA, '#EXT-X-MAP:URI="v0_init.mp4"\n', "", "one EXT-X-MAP before the first segment"),
        (MEDIA, '"v0_init.mp4"', "v0_init.mp4", None),
        (MEDIA, '"v0_init.mp4"', '"../v0_init.mp4"', "'../v0_init.mp4' is not the name of a file beside"),
        (MEDIA, "v0_00001.m4s", "http://elsewhere/x", "'http://elsewhere/x' is not the name"),
        (MEDIA, "#EXT-X-ENDLIST\n", "", "VOD playlist without EXT-X-ENDLIST"),
        (MEDIA, "#EXT-X-PLAYLIST-TYPE:VOD\n", "", "PLAYLIST-TYPE VOD or EVENT expected"),
        (MEDIA, MEDIA[MEDIA.index("#EXTINF") : MEDIA.index("#EXT-X-END")], "", "finished playlist without segments"),
        (MEDIA, "#EXT-X-ENDLIST", "#EXT-X-SESSION-DATA:X=1\n#EXT-X-ENDLIST", "no place in a media playlist"),
        (MASTER, "#EXT-X-INDEPENDENT-SEGMENTS", "#EXT-X-TARGETDURATION:6", "no place in a master playlist"),
        (MASTER, ",RESOLUTION=1280x720", "", "EXT-X-STREAM-INF has no RESOLUTION"),
        (MASTER, "1280x720", "1280", "RESOLUTION is '1280'"),
        (MASTER, ",CHANNELS=\"2\"", "", "EXT-X-MEDIA has no CHANNELS"),
        (MASTER, 'LANGUAGE="en"', 'LANGUAGE="Englisch!"', "LANGUAGE is 'Englisch!'"),
        (MASTER, "AVERAGE-BANDWIDTH=996000", "AVERAGE-BANDWIDTH=9960000", "is below AVERAGE-BANDWIDTH"),
        (MASTER, "AVERAGE-BANDWIDTH=996000", "AVERAGE-BANDWIDTH=fast", "not a decimal integer"),
        (MASTER, "avc1.64001f", "avc1.640035", "CODECS says"),
        (MASTER, 'NAME="de"', 'NAME="en"', "two members of the name 'en'"),
        (MASTER, "DEFAULT=NO", "DEFAULT=YES", "more than one default"),
        (MASTER, "DEFAULT=YES,AUTOSELECT=YES", "DEFAULT=YES,AUTOSELECT=NO", "DEFAULT=YES needs AUTOSELECT=YES"),
        (MASTER, 'AUDIO="audio-mp4a.40.2"', 'AUDIO="other"', "no AUDIO group 'other'"),
        (MASTER, "VIDEO-RANGE=SDR", "VIDEO-RANGE=SDR,VIDEO-RANGE=PQ", "VIDEO-RANGE twice"),
        (MASTER, "VIDEO-RANGE=SDR", 'VIDEO-RANGE="SDR', "has no attribute list from"),
        (MASTER, "v0.m3u8\n", "", "there is no variant"),
        (MASTER, "v0.m3u8\n", "v0.m3u8\nv1.m3u8\n", "v1.m3u8 has no EXT-X-STREAM-INF"),
    ],
)  # fmt: skip
def test_each_rule_is_noticed_when_it_is_broken(text: str, old: str, new: str, says: str | None):
    assert old in text
    assert lint(text) == []

    breaches = lint(text.replace(old, new))

    if says is None:  # quotes are the writer's business; the reader takes both
        assert breaches == []
    else:
        assert any(says in breach.detail for breach in breaches), breaches


def test_attributes_may_hold_commas_and_equal_signs_in_quotes():
    assert attributes(Tag("EXT-X-MEDIA", 'A="x,y=z",B=1,C=-1.5', 1)) == {"A": "x,y=z", "B": "1", "C": "-1.5"}


def test_line_ends_of_windows_are_read():
    assert lint(MEDIA.replace("\n", "\r\n")) == []


def test_an_entry_without_a_duration_is_refused_where_it_is_asked():
    playlist = parse_playlist("#EXTM3U\nx.m4s\n")

    with pytest.raises(OutputInvalid, match=r"line 2: x\.m4s has no readable EXTINF"):
        playlist.duration()
