"""Sources whose clock is poor or broken come out as they were meant."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import av
import pytest

from tests.clips import Kitchen
from tests.integration.media.encoding import Encoded, encoded, measured
from vidcompute.media.scan import Tally


def loudness(path: Path, *, start_s: float, end_s: float) -> float:
    """The largest sample of the sound from `start_s` to `end_s`."""
    loudest = 0.0
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            if start_s <= frame.time < end_s:
                loudest = max(loudest, float(abs(frame.to_ndarray()).max()))
    return loudest


def flv_tags(data: bytes) -> Iterator[tuple[int, int]]:
    """(offset, type) of each tag: Video File Format Specification version 10, annex E.4."""
    offset = 13
    while offset + 11 <= len(data):
        yield offset, data[offset]
        offset += 11 + int.from_bytes(data[offset + 1 : offset + 4]) + 4


def strayed(clip: Path, path: Path, *, kind: int, number: int) -> Path:
    """`clip` (FLV), in which one tag of `kind` (8 sound, 9 picture) is stamped 70 minutes late."""
    data = bytearray(clip.read_bytes())
    offset = [offset for offset, found in flv_tags(data) if found == kind][number]
    data[offset + 4] ^= 0x40  # bit 22 of the milliseconds
    path.write_bytes(data)
    return path


async def test_stamps_in_decoding_order_are_shown_in_time_with_the_sound(
    kitchen: Kitchen, ffmpeg: Path, tmp_path: Path
):
    made = await encoded(kitchen.clip("decoding_order"), tmp_path / "out", ffmpeg)

    assert (made.probe.video.counted, made.plan.lead_frames, made.plan.output_frames) == (True, 0, 50)
    assert made.seen == list(range(50))


async def test_pictures_without_stamps_keep_their_rate(kitchen: Kitchen, ffmpeg: Path, tmp_path: Path):
    clip = kitchen.clip("sparse_stamps")

    made = await encoded(clip, tmp_path / "out", ffmpeg)

    video = made.probe.video
    assert (video.frames, video.frame_rate, video.variable_rate, video.duration) == (50, 25, False, 2)
    assert {later - earlier for earlier, later in pairwise(made.seen)} == {3600}
    assert made.plan.output_frames == 50


@pytest.mark.parametrize("kind", [pytest.param(8, id="sound"), pytest.param(9, id="picture")])
async def test_one_damaged_stamp_costs_one_packet(kitchen: Kitchen, ffmpeg: Path, tmp_path: Path, kind: int):
    clip = strayed(kitchen.clip("streaming"), tmp_path / "stray.flv", kind=kind, number=20)

    made = await encoded(clip, tmp_path / "out", ffmpeg)

    assert float(made.plan.duration) == pytest.approx(2.0, abs=0.1)
    assert len(made.seen) == (50 if kind == 8 else 49)
    assert loudness(made.folder / "a0.mp4", start_s=1.0, end_s=1.9) > 0.05
    assert _changing(made) > 40
    assert "damaged time stamps" in " ".join(made.probe.warnings)


def _changing(made: Encoded) -> int:
    """Pictures that differ from the one before."""
    with av.open(str(made.folder / "v0.mp4")) as container:
        pictures = [picture.to_ndarray(format="gray") for picture in container.decode(video=0)]
    return sum(bool((one != other).mean() > 0.01) for one, other in pairwise(pictures))


async def test_a_short_hole_in_the_sound_stays_a_hole(kitchen: Kitchen, ffmpeg: Path, tmp_path: Path):
    clip = tmp_path / "hole.mkv"
    # 60 ms of sound are missing after the first tenth of a second; the tone after them begins at 0.5 s.
    hole = "volume='gte(t,0.5)':eval=frame,aselect='not(between(t,0.1,0.16))'"
    kitchen.run(["-i", str(kitchen.clip("broadcast")), "-af", hole, "-c:v", "copy", "-c:a", "pcm_s16le", str(clip)])

    made = await encoded(clip, tmp_path / "out", ffmpeg)

    assert loudness(made.folder / "a0.mp4", start_s=0.0, end_s=0.44) < 0.01
    assert loudness(made.folder / "a0.mp4", start_s=0.55, end_s=1.0) > 0.05


def test_a_packet_of_sound_that_claims_hours_is_not_believed(kitchen: Kitchen, tmp_path: Path):
    data = bytearray(kitchen.clip("plain").read_bytes())
    stts = data.index(b"stts", data.index(b"smhd")) + 4
    count = int.from_bytes(data[stts + 4 : stts + 8])
    # The last entry: how long each of its packets lasts.
    data[stts + 8 + 8 * count - 4 : stts + 8 + 8 * count] = (400_000_000).to_bytes(4)
    clip = tmp_path / "hours.mp4"
    clip.write_bytes(data)

    assert measured(clip).duration < 4


async def test_the_last_of_slow_pictures_lasts_as_long_as_the_file_says(kitchen: Kitchen, ffmpeg: Path, tmp_path: Path):
    clip = tmp_path / "slides.mp4"
    # Two pictures, at 0 and 3 s; the second lasts a second.
    slides = "select='eq(n,0)+eq(n,1)',setpts='if(eq(N,1),3,0)/TB'"
    kitchen.run(["-i", str(kitchen.clip("silent")), "-vf", slides, "-fps_mode", "vfr", "-frames:v", "2", str(clip)])

    made = await encoded(clip, tmp_path / "out", ffmpeg)

    assert made.result.frames == made.plan.output_frames
    assert made.probe.video.duration < 4.1


def test_a_codec_tag_of_any_bytes_is_no_reason_to_fail(kitchen: Kitchen, tmp_path: Path):
    clip = tmp_path / "tag.avi"
    data = kitchen.clip("decoding_order").read_bytes()
    sound_format = data.index(b"strf", data.index(b"auds")) + 8
    clip.write_bytes(data[:sound_format] + b"\xfe\xff" + data[sound_format + 2 :])

    assert measured(clip).video.frames == 50


def test_pictures_before_the_first_stamp_are_not_put_behind_the_last():
    with av.open("testsrc2=rate=25:duration=1", format="lavfi") as container:
        tally = Tally(container.streams.video[0])
        for number, packet in enumerate(container.demux(video=0)):
            if not packet.size:
                continue
            if number < 5:
                packet.pts = packet.dts = None
            tally.add(packet, lambda _packet: False)

    assert (tally.pts, tally.untimed) == (array("q", range(5, 25)), 0)
