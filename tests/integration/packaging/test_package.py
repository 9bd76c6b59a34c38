import io
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import m3u8
import numpy as np
import pytest

from tests.integration.packaging.encoded import FFMPEG, Encoded, encode, encode_chunk, encode_sound, ffmpeg
from tests.unit.media.synthetic import RATE, audio_plan, plan_for
from vidcompute.domain.job import Codec
from vidcompute.errors import OutputInvalid
from vidcompute.media.package import PackageInputs, package
from vidcompute.media.verify import verify

assert FFMPEG


def joined(out: Path, name: str) -> io.BytesIO:
    """Init and media segments of one rendition, as a player appends them."""
    return io.BytesIO(
        b"".join(path.read_bytes() for path in [out / f"{name}_init.mp4", *sorted(out.glob(f"{name}_0*.m4s"))])
    )


def pictures(source: io.BytesIO) -> list[Fraction]:
    """When each decoded picture shows, in seconds."""
    with av.open(source) as container:
        return [frame.pts * frame.time_base for frame in container.decode(video=0)]


def frame_hashes(*inputs: str) -> list[str]:
    done = ffmpeg(*inputs, "-map", "0:v:0", "-f", "framehash", "-hash", "murmur3", "-")
    return [line.rsplit(",", 1)[1] for line in done.stdout.decode().splitlines() if not line.startswith("#")]


def test_every_picture_decodes_at_its_exact_time(three_chunks: Encoded, tmp_path: Path):
    three_chunks.package(tmp_path)

    for name in ("v0", "v1"):
        assert pictures(joined(tmp_path, name)) == [n / RATE for n in range(200)]


def test_packaging_changes_no_picture(one_chunk: Encoded, tmp_path: Path):
    one_chunk.package(tmp_path)
    (tmp_path / "joined.mp4").write_bytes(joined(tmp_path, "v0").getvalue())

    published = frame_hashes("-i", str(tmp_path / "joined.mp4"))

    assert published == frame_hashes("-i", str(one_chunk.video["v0"][0]))
    assert len(published) == 200


def test_one_chunk_and_three_give_the_same_playlists(one_chunk: Encoded, three_chunks: Encoded, tmp_path: Path):
    first, second = one_chunk.package(tmp_path / "one"), three_chunks.package(tmp_path / "three")

    for stream in first.streams:
        assert (tmp_path / "one" / stream.playlist_uri).read_text() == (
            tmp_path / "three" / stream.playlist_uri
        ).read_text()
    assert [(s.start, s.duration) for s in first.renditions[0].segments] == [
        (s.start, s.duration) for s in second.renditions[0].segments
    ]
    assert [s.init.sha256 for s in first.streams] == [s.init.sha256 for s in second.streams]
    assert [s.sha256 for s in first.audio[0].segments] == [s.sha256 for s in second.audio[0].segments]


def test_packaging_twice_gives_the_same_bytes(three_chunks: Encoded, tmp_path: Path):
    three_chunks.package(tmp_path / "a")
    three_chunks.package(tmp_path / "b")

    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "b").iterdir())
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_an_independent_parser_agrees(three_chunks: Encoded, tmp_path: Path):
    manifest = three_chunks.package(tmp_path)

    master = m3u8.load(str(tmp_path / "master.m3u8"))

    assert master.is_variant
    assert {playlist.uri: playlist.stream_info.resolution for playlist in master.playlists} == {
        "v0.m3u8": (128, 72),
        "v1.m3u8": (64, 36),
    }
    assert {playlist.stream_info.codecs for playlist in master.playlists} == {"avc1.64000a,mp4a.40.2"}
    assert [(media.name, media.language, media.default) for media in master.media] == [
        ("en", "en", "YES"),
        ("Das 'Boot'", "de", "NO"),
    ]
    for stream in manifest.streams:
        playlist = m3u8.load(str(tmp_path / stream.playlist_uri))
        assert playlist.is_endlist
        assert playlist.target_duration == 2
        assert [segment.uri for segment in playlist.segments] == [part.uri for part in stream.segments]
        total = sum(segment.duration for segment in playlist.segments)
        assert total == pytest.approx(float(stream.duration), abs=1e-6)
        assert playlist.segments[0].init_section.uri == stream.init.uri


def test_declared_bit_rates_are_those_of_the_files(three_chunks: Encoded, tmp_path: Path):
    manifest = three_chunks.package(tmp_path)

    for stream in manifest.streams:
        sizes = [(tmp_path / part.uri).stat().st_size for part in stream.segments]
        assert stream.size_bytes == sum(sizes)
        assert stream.bitrate_bps == pytest.approx(8 * sum(sizes) / float(stream.duration), rel=1e-3)
        assert stream.peak_bitrate_bps >= stream.bitrate_bps
    variants = m3u8.load(str(tmp_path / "master.m3u8")).playlists
    assert all(each.stream_info.bandwidth >= each.stream_info.average_bandwidth for each in variants)


@pytest.mark.parametrize("playlist", ["master.m3u8", "manifest.mpd"])
def test_ffmpeg_plays_all_of_it(three_chunks: Encoded, tmp_path: Path, playlist: str):
    three_chunks.package(tmp_path)

    done = ffmpeg("-i", str(tmp_path / playlist), "-map", "0", "-f", "null", "-progress", "-", "-", quiet=False)

    assert b"frame=200\n" in done.stdout


def test_sound_is_cut_within_half_a_packet_of_the_picture(three_chunks: Encoded, tmp_path: Path):
    manifest = three_chunks.package(tmp_path)

    picture, sound = manifest.renditions[0], manifest.audio[0]
    assert len(sound.segments) == len(picture.segments)
    for one, other in zip(picture.segments, sound.segments, strict=True):
        assert abs(picture.seconds(one.start) - sound.seconds(other.start)) <= Fraction(512, 48000)
    assert all(a.start + a.duration == b.start for a, b in pairwise(sound.segments))


def test_a_beep_stays_where_it_was(tmp_path: Path):
    beep = "aevalsrc='if(between(t,1,1.1),0.5*sin(2*PI*1000*t),0)|0':s=48000"
    plan = plan_for(60, audio=[audio_plan()], segment_frames=60)
    video = {"v0": [encode_chunk(tmp_path / "v.mp4", start=0, end=60, scale="320:180")]}
    audio = {"a0": encode_sound(tmp_path / "a.mp4", seconds=2.002, source=beep)}
    package(PackageInputs(plan, video, audio), tmp_path / "out")

    raw = ffmpeg(
        "-i", str(tmp_path / "out" / "master.m3u8"), "-map", "0:a", "-ac", "1", "-f", "s16le", "-", quiet=False
    )

    samples = np.abs(np.frombuffer(raw.stdout, np.int16).astype(int))
    assert np.argmax(samples > 1000) / 48000 == pytest.approx(1.0, abs=0.005)


@pytest.mark.parametrize(("frames", "segments"), [(1, 1), (45, 1), (60, 1), (61, 2), (120, 2)])
def test_short_clips_are_packaged_and_verified(tmp_path: Path, frames: int, segments: int):
    encoded = encode(tmp_path, frames=frames, audio=[audio_plan()])

    manifest = encoded.package(tmp_path / "out")

    assert len(manifest.renditions[0].segments) == segments
    assert manifest.duration == frames / RATE
    assert verify(tmp_path / "out", encoded.plan).warnings == ()
    assert len(pictures(joined(tmp_path / "out", "v0"))) == frames


def test_a_clip_without_sound_has_no_audio(tmp_path: Path):
    encoded = encode(tmp_path, frames=60)

    manifest = encoded.package(tmp_path / "out")

    assert manifest.audio == ()
    assert "AUDIO" not in (tmp_path / "out" / "master.m3u8").read_text()
    assert verify(tmp_path / "out", encoded.plan).warnings == ()


@pytest.mark.parametrize(
    ("codec", "prefix"), [(Codec.HEVC, "hvc1.1.6.L"), (Codec.AV1, "av01.0.0"), (Codec.VP9, "vp09.00.1")]
)
def test_other_codecs_are_packaged_from_two_chunks(tmp_path: Path, codec: Codec, prefix: str):
    encoded = encode(tmp_path, frames=90, chunk_starts=(0, 60), codec=codec)

    manifest = encoded.package(tmp_path / "out")

    assert manifest.renditions[0].codec.startswith(prefix)
    assert verify(tmp_path / "out", encoded.plan).frames == 90
    assert pictures(joined(tmp_path / "out", "v0")) == [n / RATE for n in range(90)]


@pytest.mark.parametrize("rate", [Fraction(25), Fraction(60), Fraction(24000, 1001), Fraction(10)])
def test_other_rates_are_exact(tmp_path: Path, rate: Fraction):
    encoded = encode(tmp_path, frames=70, rate=rate, audio=[audio_plan(name="a0")])

    manifest = encoded.package(tmp_path / "out")

    assert manifest.duration == 70 / rate
    assert pictures(joined(tmp_path / "out", "v0")) == [n / rate for n in range(70)]
    assert verify(tmp_path / "out", encoded.plan).warnings == ()


def test_opus_is_packaged_too(tmp_path: Path):
    plan = plan_for(60, audio=[audio_plan()], rungs=[("v0", 128, 72)], segment_frames=60)
    video = {"v0": [encode_chunk(tmp_path / "v.mp4", start=0, end=60)]}
    audio = {"a0": encode_sound(tmp_path / "a.mp4", seconds=2.0, codec="libopus")}

    manifest = package(PackageInputs(plan, video, audio), tmp_path / "out")

    assert manifest.audio[0].codec == "opus"
    assert verify(tmp_path / "out", plan).warnings == ()


def test_a_chunk_of_another_encoder_setting_is_named(three_chunks: Encoded, tmp_path: Path):
    wrong = encode_chunk(tmp_path / "wrong.mp4", start=90, end=120, scale="64:36")
    first, _, last = three_chunks.video["v0"]
    broken = Encoded(three_chunks.plan, {**three_chunks.video, "v0": [first, wrong, last]}, three_chunks.audio)

    with pytest.raises(OutputInvalid, match="rendition v0, chunk 1: its initialization segment"):
        broken.package(tmp_path / "out")


def test_a_missing_chunk_is_named(three_chunks: Encoded, tmp_path: Path):
    (tmp_path / "empty.mp4").touch()
    first, _, last = three_chunks.video["v1"]
    chunks = [first, tmp_path / "empty.mp4", last]
    broken = Encoded(three_chunks.plan, {**three_chunks.video, "v1": chunks}, three_chunks.audio)

    with pytest.raises(OutputInvalid, match="rendition v1, chunk 0: ended before picture 90, but picture 120"):
        broken.package(tmp_path / "out")


def test_a_chunk_cut_off_while_it_was_written_is_named(three_chunks: Encoded, tmp_path: Path):
    first, middle, last = three_chunks.video["v0"]
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(last.read_bytes()[:-2000])
    broken = Encoded(three_chunks.plan, {**three_chunks.video, "v0": [first, middle, cut]}, three_chunks.audio)

    with pytest.raises(OutputInvalid, match="rendition v0, chunk 2: "):
        broken.package(tmp_path / "out")


def test_rungs_of_different_length_are_refused(three_chunks: Encoded, tmp_path: Path):
    short = encode_chunk(tmp_path / "short.mp4", start=120, end=150, scale="64:36")
    first, middle, _ = three_chunks.video["v1"]
    broken = Encoded(three_chunks.plan, {**three_chunks.video, "v1": [first, middle, short]}, three_chunks.audio)

    with pytest.raises(OutputInvalid, match="rendition v1 has 150 pictures, rendition v0 has 200"):
        broken.package(tmp_path / "out")


def test_output_that_was_not_handed_over_is_named(three_chunks: Encoded, tmp_path: Path):
    with pytest.raises(OutputInvalid, match="no encoder output was given for rendition a0"):
        Encoded(three_chunks.plan, three_chunks.video).package(tmp_path)
