"""Real ffmpeg in the box: it works, and hostile input gets nowhere."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.security.conftest import FFMPEG, Box, Listener
from vidcompute.errors import LimitExceeded, TaskFailed
from vidcompute.sandbox.verdict import verdict

ENDLESS = ["-f", "lavfi", "-i", "testsrc2=s=640x360:r=25"]


async def test_an_encode_works_from_a_descriptor_into_scratch(box: Box, clip: Path) -> None:
    done = await box.ffmpeg(clip, "-t", "1", "-c:v", "libx264", "-preset", "ultrafast", "out.mp4")

    assert done.code == 0, done.stderr_tail
    assert (box.scratch / "out.mp4").stat().st_size > 1000


async def test_the_last_frames_can_be_sought_through_a_descriptor(box: Box, clip: Path) -> None:
    done = await box.ffmpeg(clip, "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "gray", "-vf", "scale=8:8", "pipe:1")

    assert (done.code, len(done.stdout)) == (0, 64)


async def test_analysis_frames_leave_through_a_pipe(box: Box, clip: Path) -> None:
    done = await box.ffmpeg(clip, "-t", "0.2", "-an", "-vf", "scale=64:-2", "-c:v", "rawvideo", "-f", "nut", "pipe:1")

    assert done.code == 0, done.stderr_tail
    assert done.stdout.startswith(b"nut/multimedia container")


async def test_an_encode_leaves_nothing_outside_scratch(box: Box, clip: Path, tmp_path: Path) -> None:
    done = await box.ffmpeg(clip, "-t", "0.2", "-protocol_whitelist", "file", str(tmp_path / "escape.mkv"))

    assert done.code != 0
    assert not (tmp_path / "escape.mkv").exists()


async def test_a_file_outside_cannot_be_named_as_input(box: Box, canary: Path) -> None:
    done = await box.run([FFMPEG, "-v", "error", "-f", "data", "-i", canary, "-map", "0", "-f", "data", "pipe:1"])

    assert done.code != 0
    assert b"CANARY" not in done.stdout


async def test_no_address_can_be_called(box: Box, listener: Listener) -> None:
    done = await box.run([FFMPEG, "-v", "error", "-i", f"tcp://127.0.0.1:{listener.port}", "-f", "null", "-"])

    assert done.code != 0
    assert not listener.called()


def hostile(kind: str, canary: Path, port: int) -> str:
    """Scripts that name other files and addresses, as they arrive: called .mp4."""
    http = f"http://127.0.0.1:{port}/x"
    segment = "#EXTINF:1,\n"
    texts = {
        "ffconcat": f"ffconcat version 1.0\nfile '{canary}'\nfile '{http}'\n",
        "hls": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n{segment}file://{canary}\n{segment}{http}\n#EXT-X-ENDLIST\n",
        "hls_key": f'#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="{http}"\n{segment}file://{canary}\n#EXT-X-ENDLIST\n',
        "dash": (
            '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
            'mediaPresentationDuration="PT1S" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011">'
            '<Period><AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1">'
            f"<BaseURL>file://{canary}</BaseURL></Representation></AdaptationSet></Period></MPD>"
        ),
        "sdp": f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {port} RTP/AVP 96\n",
        "svg": f'<svg xmlns="http://www.w3.org/2000/svg"><image href="file://{canary}"/></svg>',
    }
    return texts[kind]


@pytest.mark.parametrize("kind", ["ffconcat", "hls", "hls_key", "dash", "sdp", "svg"])
@pytest.mark.parametrize("protocols", ["fd,pipe", "fd,pipe,file,http,tcp,rtp,udp,crypto"])
async def test_a_script_named_mp4_reads_nothing(
    kind: str, protocols: str, box: Box, canary: Path, listener: Listener, tmp_path: Path
) -> None:
    """Both with our protocol list, and with the box alone behind a list that allows everything."""
    source = tmp_path / "upload.mp4"
    source.write_text(hostile(kind, canary, listener.port))

    done = await box.ffmpeg(source, "-c", "copy", "-f", "data", "pipe:1", protocols=protocols)

    assert done.code != 0
    assert b"CANARY" not in done.stdout
    assert not listener.called()


@pytest.mark.parametrize(
    ("name", "opens"),
    [
        ("craft_ffconcat_local_file.mp4", False),
        ("craft_hls_file_and_loopback.mp4", False),
        ("craft_hls_valid_relative.m3u8", False),
        ("craft_one_byte.mp4", False),
        ("bad_zero_bytes.webm", False),
        ("craft_flip_mdat.mp4", True),
        ("craft_trunc50_faststart.mp4", True),
    ],
)
async def test_damaged_and_hostile_clips_end_by_themselves(name: str, opens: bool, box: Box) -> None:
    media = os.environ.get("MEDIA")
    if not media:
        pytest.skip("MEDIA names no folder of clips")

    done = await box.ffmpeg(Path(media) / name, "-map", "0:v", "-t", "1", "-vf", "scale=64:-2", "-f", "null", "-")

    assert (done.code == 0) is opens, done.stderr_tail
    assert done.code >= 0


async def test_one_file_cannot_fill_the_disk(box: Box) -> None:
    done = await box.run(
        [FFMPEG, "-v", "error", *ENDLESS, "-c:v", "rawvideo", "-f", "rawvideo", "big"], file_size_bytes=1_000_000
    )

    assert isinstance(verdict(done.code, box.policy, what="ffmpeg"), LimitExceeded)
    assert (box.scratch / "big").stat().st_size <= 1_000_000


async def test_processor_time_has_an_end(box: Box) -> None:
    done = await box.run([FFMPEG, "-v", "error", *ENDLESS, "-f", "null", "-"], cpu_s=1)

    assert isinstance(verdict(done.code, box.policy, what="ffmpeg"), LimitExceeded)


async def test_memory_has_an_end(box: Box) -> None:
    huge = ["-f", "lavfi", "-i", "color=s=16000x16000:r=1,format=rgba64"]
    done = await box.run([FFMPEG, "-v", "error", *huge, "-frames:v", "1", "-f", "null", "-"], memory_bytes=1 << 30)

    # Not the exit code: ffmpeg takes this for the end of its input and exits 0.
    assert "Cannot allocate memory" in done.stderr_tail


async def test_a_program_that_does_not_exist_is_a_clear_error(box: Box) -> None:
    done = await box.run(["/no/such/ffmpeg"])

    error = verdict(done.code, box.policy, what="the encoder", stderr_tail=done.stderr_tail)

    assert isinstance(error, TaskFailed)
    assert "/no/such/ffmpeg" in error.detail
