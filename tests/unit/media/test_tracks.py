import io

import pytest

from tests.unit.media.synthetic import audio_init, init, visual_entry
from vidcompute.errors import OutputInvalid
from vidcompute.media.boxes import box
from vidcompute.media.tracks import TrackKind, read_head


def head_of(data: bytes):
    return read_head(io.BytesIO(data), where="v0")


def test_the_head_of_a_video_file_says_what_the_track_is():
    data = init(timescale=30000)

    head = head_of(data + box("moof"))

    assert head is not None
    assert head.init == data
    assert (head.track.kind, head.track.id, head.track.codec) == (TrackKind.VIDEO, 1, "avc1.64000d")
    assert (head.track.timescale, head.track.width_px, head.track.height_px) == (30000, 320, 180)
    assert head.track.nal_length_bytes == 4


def test_the_head_of_a_sound_file_says_rate_channels_and_priming():
    head = head_of(audio_init(media_times=[1024]))

    assert head is not None
    assert (head.track.kind, head.track.codec) == (TrackKind.AUDIO, "mp4a.40.2")
    assert (head.track.channels, head.track.sample_rate_hz, head.track.shift) == (2, 48000, 1024)


def test_an_empty_edit_before_the_media_delays_it():
    # An empty edit of duration 0 in the movie's timescale, then the media from tick 1024 on.
    head = head_of(audio_init(media_times=[-1, 1024]))

    assert head is not None
    assert head.track.shift == 1024


@pytest.mark.parametrize("data", [b"", box("free", b"\0")])
def test_a_file_in_which_no_movie_was_begun_has_no_head(data: bytes):
    assert head_of(data) is None


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (box("moov"), "one track expected, 0 found"),
        (init(handler=b"text"), "neither picture nor sound"),
        (init(timescale=0), "timescale of 0"),
        (init(entries=[visual_entry("avc1"), visual_entry("avc1")]), "one sample entry expected, 2 found"),
        (init(media_times=[0, 1, 2]), "an edit list of 3 entries"),
        (init(media_times=[-1]), "shows nothing"),
    ],
)
def test_a_head_that_cannot_be_published_is_refused(data: bytes, says: str):
    with pytest.raises(OutputInvalid, match=says):
        head_of(data)
