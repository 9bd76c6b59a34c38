"""Jobs, frames and a stream for the dashboard's tests: small, made on the spot, in every state there is."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import imageio_ffmpeg

from tests.e2e.fake_api import FakeApi, Json, job

FPS = 30
FRAMES = 150
CUT = 75
DURATION_MS = 5000

#: Frame n is grey: the left half says n // 16, the right half n % 16, in steps that survive encoding.
_LUMA = "if(lt(X,W/2),20+14*floor(N/16),20+14*mod(N,16))"


def make_stream(folder: Path) -> None:
    """HLS by ffmpeg's own muxer: two sizes, B-frames, sound as a group of its own. Pictures carry their number."""
    folder.mkdir()
    argv = [
        imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-loglevel", "error", "-nostdin",
        "-f", "lavfi", "-i", f"color=black:s=320x180:r={FPS}:d=5,geq=lum='{_LUMA}':cb=128:cr=128",
        "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=5",
        "-filter_complex", "[0:v]split[a][b];[b]scale=160:90[c]", "-map", "[a]", "-map", "[c]", "-map", "1:a",
        # B-frames shift the first picture's time in the fragments: the trap that the player must know.
        "-c:v", "libx264", "-preset", "veryfast", "-bf", "2", "-g", "30", "-sc_threshold", "0", "-pix_fmt", "yuv420p",
        "-b:v:0", "400k", "-b:v:1", "150k", "-c:a", "aac", "-b:a", "64k",
        "-f", "hls", "-hls_time", "2", "-hls_playlist_type", "vod", "-hls_segment_type", "fmp4",
        "-hls_fmp4_init_filename", "init.mp4", "-hls_segment_filename", "s%v_%d.m4s", "-master_pl_name", "master.m3u8",
        "-var_stream_map", "v:0,agroup:sound v:1,agroup:sound a:0,agroup:sound,default:yes", "v%v.m3u8",
    ]  # fmt: skip
    subprocess.run(argv, cwd=folder, check=True, timeout=60)


def make_picture(path: Path) -> None:
    """A small colourful JPEG."""
    source = "testsrc2=s=320x180:d=0.1"
    argv = [
        imageio_ffmpeg.get_ffmpeg_exe(),
        "-loglevel",
        "error",
        "-f",
        "lavfi",
        "-i",
        source,
        "-frames:v",
        "1",
        str(path),
    ]
    subprocess.run(argv, check=True, timeout=60)


_SUMMARIES = (
    "A pale grey field, evenly lit, nothing moves.",
    "Brightness rises on the right; fine detail, low contrast.",
    "Dark blue and white, sharp edges, strong motion from left to right.",
    "The picture freezes; on-screen text appears at the bottom.",
    "After the cut: warm tones, orange and brown, moderate motion.",
)


def frame_rows() -> list[Json]:
    """150 rows, a description for ten frames each, a cut in the middle."""
    rows: list[Json] = []
    for n in range(FRAMES):
        desc_no = n // 10
        colors = [{"name": "midnightblue", "share": 0.5}, {"name": "orange", "share": 0.3}]
        context: Json = {
            "summary": _SUMMARIES[desc_no % len(_SUMMARIES)],
            "objects": [],
            "actions": [],
            "colors": colors,
        }
        if desc_no == 3:
            context |= {"ocr_text": ["BREAKING <b>NEWS</b>"], "objects": ["lower third"]}
        description = {
            "desc_no": desc_no, "start_ms": desc_no * 333, "end_ms": desc_no * 333 + 332, "source": "local",
            "model": "facts-1", "status": "succeeded", "context": context,
        }  # fmt: skip
        rows.append({
            "frame_no": n, "pts": n * 512, "ts_ms": round(n * 1000 / FPS), "scene_no": int(n >= CUT), "similarity": 0.97,
            "description": description,
        })  # fmt: skip
    return rows


SOURCE: Json = {
    "container": "mov", "video_codec": "h264", "width": 1280, "height": 720, "fps": "30/1", "frames": FRAMES,
    "duration_ms": DURATION_MS, "rotation": 0, "hdr": False, "interlaced": False,
    "audio": [{"codec": "aac", "channels": 2, "language": "eng"}], "subtitles": [],
}  # fmt: skip

FAILURE: Json = {
    "code": "no_video", "title": "The input has no video", "retryable": False,
    "detail": "podcast.m4a holds one aac stream and a cover picture, but no moving picture.",
    "hint": "Submit a file with a video stream; sound alone, cover art and still images are not accepted.",
}  # fmt: skip


def _ago(seconds: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()


def finished(job_id: str = "job_done", **changes: Any) -> Json:
    """A succeeded job with streams and frames."""
    hls = f"/api/v1/jobs/{job_id}/hls"
    fields: Json = {
        "name": "beach.mp4", "status": "succeeded", "attempt": 1, "source": SOURCE, "poster_url": f"{hls}/poster.jpg",
        "progress": {"percent": 100.0, "frame": FRAMES, "frames": FRAMES},
        "parts": {
            "hls": {"status": "succeeded", "playable": True, "url": f"{hls}/master.m3u8", "dash_url": f"{hls}/manifest.mpd"},
            "context": {"status": "succeeded", "frames": FRAMES, "descriptions": 15, "provider": "local", "tokens": 0, "cost_usd": 0.0},
        },
        "renditions": [
            {"name": "v0", "width": 1280, "height": 720, "codec": "avc1.64001f", "bitrate": 2950000, "bytes": 1843750, "vmaf": None},
            {"name": "v1", "width": 854, "height": 480, "codec": "avc1.64001e", "bitrate": 1210000, "bytes": 756250, "vmaf": None},
            {"name": "v2", "width": 640, "height": 360, "codec": "avc1.64001e", "bitrate": 640000, "bytes": 400000, "vmaf": 91.4},
        ],
        "tags": {"team": "ads"}, "created_at": _ago(200), "started_at": _ago(199), "finished_at": _ago(190.8),
    }  # fmt: skip
    return job(job_id, **fields | changes)


def running(job_id: str = "job_running", **changes: Any) -> Json:
    """A job in the middle of its encode."""
    progress = {"percent": 62.1, "frame": 93, "frames": 150, "fps": 48.2, "speed": 3.1, "eta_s": 4.2}
    fields: Json = {
        "name": "drone-over-harbour.mov", "status": "running", "phase": "transcoding", "attempt": 1, "source": SOURCE,
        "progress": progress, "created_at": _ago(12), "started_at": _ago(11),
    }  # fmt: skip
    return job(job_id, **fields | changes)


def failed(job_id: str = "job_failed", **changes: Any) -> Json:
    """A job that cannot succeed."""
    fields: Json = {
        "name": "podcast.m4a", "status": "failed", "attempt": 1, "failures": 1, "error": FAILURE, "dead_letter": False,
        "created_at": _ago(500), "started_at": _ago(499), "finished_at": _ago(498),
    }  # fmt: skip
    return job(job_id, **fields | changes)


def populate(api: FakeApi) -> None:
    """A service in the middle of its day."""
    waiting = {"name": "a-very-long-file-name-that-somebody-exported-without-mercy-final-FINAL-2.mxf"}
    retrying = {"name": "flaky-camera.ts", "failures": 2, "attempt": 2, "next_attempt_at": _ago(-40)}
    cause = {
        "code": "encoder_failed",
        "title": "The encoder failed",
        "detail": "ffmpeg exited with 187 in chunk 3.",
        "hint": "",
        "retryable": True,
    }
    items = [
        running(),
        job("job_queued", queue_position=3, created_at=_ago(30), **waiting),
        job("job_retrying", error=cause, created_at=_ago(90), **retrying),
        finished(),
        failed(),
        job("job_canceled", name="wrong-file.mp4", status="canceled", created_at=_ago(4000), source=SOURCE),
        finished("job_warned", name="scratched-dvd.vob", warnings=[{"code": "partial", "detail": "The last 2.1 s could not be decoded."}], created_at=_ago(90000)),
    ]  # fmt: skip
    for item in items:
        api.jobs[item["id"]] = item
    api.frames |= {"job_done": frame_rows(), "job_warned": frame_rows()}
    api.attempts["job_failed"] = [{
        "attempt": 1, "node": "local-0", "started_at": _ago(499), "finished_at": _ago(498), "outcome": "failed", "counted": True,
        "problem": FAILURE | {"evidence": {"argv": ["ffmpeg", "-i", "fd:"], "exit_code": 234, "stderr_tail": "Stream map '0:v' matches no streams.\nConversion failed!"}},
    }]  # fmt: skip
    said = [
        ("info", "probed: mov, h264 1280x720, 150 frames"),
        ("info", "plan: 3 renditions, 1 chunk"),
        ("warning", "edit list skips 2 frames"),
        ("error", "chunk 0 failed; it is tried again"),
    ]
    lines = [("log", {"at": _ago(198 - n), "level": level, "message": text}) for n, (level, text) in enumerate(said)]
    end = [("state", {"at": _ago(190), "status": "succeeded"}), ("end", {"status": "succeeded"})]
    api.logs["job_done"] = [*lines, *end]
    api.logs["job_running"] = lines[:2]
    api.moments = [
        {"job_id": "job_done", "job_name": "beach.mp4", "start_ms": 2500, "end_ms": 3000, "frame_no": 75,
         "snippet": "After the cut: <mark>warm</mark> tones, &lt;orange&gt; and brown &amp; moderate motion.", "score": 0.9,
         "thumbnail_url": "/api/v1/jobs/job_done/frames/75.jpg", "url": "/dashboard/jobs/job_done?t=2.5"},
        {"job_id": "job_warned", "job_name": "scratched-dvd.vob", "start_ms": 1000, "end_ms": 1300, "frame_no": 30,
         "snippet": "A <mark>warm</mark> evening, text reads <img src=x onerror=alert(1)>", "score": 0.4,
         "thumbnail_url": "/api/v1/jobs/job_warned/frames/30.jpg", "url": "/dashboard/jobs/job_warned?t=1"},
    ]  # fmt: skip
