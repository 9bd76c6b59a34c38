"""A service that answers `vidctl` from a script, through httpx's own transport seam."""

import json

import httpx

JOB = {
    "id": "job_1",
    "name": "beach.mp4",
    "status": "succeeded",
    "phase": None,
    "progress": {"percent": 100.0, "frame": 150, "frames": 150, "fps": None, "speed": None, "eta_s": None},
    "priority": "normal",
    "attempt": 1,
    "failures": 0,
    "max_attempts": 4,
    "next_attempt_at": None,
    "dead_letter": False,
    "queue_position": None,
    "source": {"video_codec": "h264", "width": 1280, "height": 720, "fps": "30/1", "duration_ms": 5000},
    "parts": {
        "hls": {"status": "succeeded", "playable": True, "url": "/api/v1/jobs/job_1/hls/master.m3u8", "dash_url": None},
        "context": {"status": "succeeded", "frames": 150, "descriptions": 11},
    },
    "renditions": [
        {"name": "v0", "width": 1280, "height": 720, "codec": "avc1.64001f", "bitrate": 2950000, "bytes": 1843750}
    ],
    "error": None,
    "warnings": [],
    "tags": {},
    "spec": {},
    "created_at": "2026-01-02T03:04:05Z",
    "started_at": "2026-01-02T03:04:06Z",
    "finished_at": "2026-01-02T03:04:20.5Z",
}
ERROR = {"code": "no_video", "title": "The input has no video", "detail": "only sound", "hint": "Send video."}
FAILED = {**JOB, "status": "failed", "error": ERROR, "renditions": []}


def sse(*events) -> bytes:
    """Encoded events of (kind, data, id)."""
    return b"retry: 2000\n\n: hello\n\n" + b"".join(
        (f"id: {seq}\n" if seq else "").encode() + f"event: {kind}\ndata: {json.dumps(data)}\n\n".encode()
        for kind, data, seq in events
    )


EVENTS = (
    ("state", {"seq": 1, "at": "2026-01-02T03:04:05Z", "status": "running"}, 1),
    (
        "progress",
        {"phase": "transcoding", "percent": 62.1, "frame": 93, "frames": 150, "fps": 48.2, "speed": 3.1},
        None,
    ),
    ("log", {"seq": 2, "at": "2026-01-02T03:04:06Z", "level": "warning", "message": "odd \u2028 thing"}, 2),
    ("end", {"seq": 3, "at": "2026-01-02T03:04:07Z", "status": "succeeded"}, 3),
)


def problem(status: int, code: str = "some_code") -> httpx.Response:
    body = {"title": "A title", "detail": "a detail", "hint": "a hint", "code": code, "request_id": "r1"}
    return httpx.Response(status, json=body, headers={"Content-Type": "application/problem+json"})


class Script:
    """Answers by (method, path); a list is answered one after the other, its last for ever."""

    def __init__(self, answers: dict) -> None:
        self.answers = {key: list(value) if isinstance(value, list) else [value] for key, value in answers.items()}
        self.requests: list[httpx.Request] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.requests.append(request)
        answers = self.answers.get((request.method, request.url.path))
        if not answers:
            return problem(404, "not_found")
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):
            return answer
        if isinstance(answer, bytes):
            return httpx.Response(200, content=answer)
        return httpx.Response(200, json=answer)
