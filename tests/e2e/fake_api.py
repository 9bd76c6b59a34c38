"""A small service that speaks the API's JSON, so that the dashboard can be judged by itself.

Jobs live in a dictionary; tests put them there and change them. Standard library only, one thread per
connection, gone when its block ends.
"""

from __future__ import annotations

import json
import queue
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from vidcompute.api.files import content_type
from vidcompute.api.middleware import PAGE_CSP

Json = dict[str, Any]

_TYPES = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".html": "text/html",
    ".txt": "text/plain",
}
_OVER = {"succeeded", "failed", "canceled"}
_HEARTBEAT_S = 1.0


def job(job_id: str, **changes: Any) -> Json:
    """A job in the contract's form; `changes` replace its fields, those of `parts` and `progress` one by one."""
    parts = {
        "hls": {"status": "pending", "playable": False, "url": None, "dash_url": None},
        "context": {
            "status": "pending", "frames": None, "descriptions": None, "provider": None, "tokens": None, "cost_usd": None,
        },
    }  # fmt: skip
    for name, part in changes.pop("parts", {}).items():
        parts[name].update(part)
    progress = {"percent": 0.0, "frame": None, "frames": None, "fps": None, "speed": None, "eta_s": None}
    progress |= changes.pop("progress", {})
    now = datetime.now(UTC).isoformat()
    return {
        "id": job_id, "name": f"{job_id}.mp4", "status": "queued", "phase": None, "progress": progress,
        "priority": "normal", "attempt": 0, "failures": 0, "max_attempts": 4, "next_attempt_at": None,
        "dead_letter": False, "queue_position": None, "cancel_requested": False, "source": None, "parts": parts,
        "renditions": [], "error": None, "warnings": [], "tags": {}, "spec": {}, "poster_url": None,
        "created_at": now, "started_at": None, "finished_at": None, **changes,
    }  # fmt: skip


@dataclass
class FakeApi:
    """State of the service, and what it was asked to do."""

    web: Path
    jobs: dict[str, Json] = field(default_factory=dict)
    frames: dict[str, list[Json]] = field(default_factory=dict)
    #: Folder of a published stream, by job.
    streams: dict[str, Path] = field(default_factory=dict)
    #: Served for every frame picture and poster.
    picture: bytes = b""
    logs: dict[str, list[tuple[str, Json]]] = field(default_factory=dict)
    attempts: dict[str, list[Json]] = field(default_factory=dict)
    moments: list[Json] = field(default_factory=list)
    #: Method and path of everything that was asked to change something.
    done: list[str] = field(default_factory=list)
    submitted: list[Json] = field(default_factory=list)
    #: Open event streams at this moment.
    listeners: list[queue.Queue[tuple[str, Json]]] = field(default_factory=list)
    #: Set when the service ends: its streams break off.
    closing: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    def put(self, item: Json) -> None:
        """Store a job, new or changed, and tell everyone."""
        self.jobs[item["id"]] = item
        self.tell("job", item)

    def tell(self, event: str, data: Json) -> None:
        """Send an event to all open streams."""
        for listener in list(self.listeners):
            listener.put((event, data))


class _Handler(BaseHTTPRequestHandler):
    """Routes by pattern; the first that matches answers."""

    protocol_version = "HTTP/1.1"
    api: FakeApi

    def log_message(self, *args: Any) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        self._route("GET")

    def do_POST(self) -> None:
        self._route("POST")

    def do_DELETE(self) -> None:
        self._route("DELETE")

    def _route(self, method: str) -> None:
        parts = urlsplit(self.path)
        self.query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if method != "GET":
            self.api.done.append(f"{method} {parts.path}")
        for wanted, pattern, answer in _ROUTES:
            match = re.fullmatch(pattern, unquote(parts.path))
            if match and wanted == method:
                return answer(self, *match.groups())
        return self.problem(404, "no_such_route", f"{parts.path} is not a route")

    def send(self, status: int, body: bytes, kind: str, **headers: str) -> None:
        self.send_response(status)
        fixed = {"Content-Type": kind, "Content-Length": str(len(body)), "Cache-Control": "no-store"}
        for name, value in (fixed | headers).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def json(self, value: object, status: int = 200) -> None:
        self.send(status, json.dumps(value).encode(), "application/json")

    def problem(self, status: int, code: str, detail: str, hint: str = "") -> None:
        body = {"code": code, "title": code, "status": status, "detail": detail, "hint": hint, "request_id": "r"}
        self.send(status, json.dumps(body).encode(), "application/problem+json")

    def file(self, path: Path, kind: str) -> None:
        if path.is_file():
            csp = {"Content_Security_Policy": PAGE_CSP} if kind == "text/html" else {}
            return self.send(200, path.read_bytes(), kind, **csp)
        return self.problem(404, "not_found", f"no file {path.name}")

    # the page

    def page(self, path: str) -> None:
        name = path if "." in path.rpartition("/")[2] else "index.html"
        self.file(self.api.web / name, _TYPES.get("." + name.rpartition(".")[2], "application/octet-stream"))

    def docs(self, path: str) -> None:
        self.page(f"swagger/{path or 'index.html'}")

    def openapi(self) -> None:
        self.json({"openapi": "3.1.0", "info": {"title": "fake", "version": "0"}, "paths": {}})

    # jobs

    def list(self) -> None:
        found = [item for item in self.api.jobs.values() if self._wanted(item)]
        found.sort(key=lambda item: str(item["created_at"]), reverse=True)
        start, limit = int(self.query.get("cursor", 0)), int(self.query.get("limit", 50))
        more = str(start + limit) if start + limit < len(found) else None
        self.json({"jobs": found[start : start + limit], "next_cursor": more})

    def _wanted(self, item: Json) -> bool:
        status, q = self.query.get("status"), self.query.get("q", "").lower()
        return (not status or item["status"] == status) and q in str(item["name"]).lower()

    def counts(self) -> None:
        statuses = [item["status"] for item in self.api.jobs.values()]
        names = ("queued", "running", "succeeded", "failed", "canceled")
        self.json({name: statuses.count(name) for name in names} | {"total": len(statuses)})

    def submit(self) -> None:
        kind = self.headers.get("Content-Type", "")
        if kind.startswith("multipart/form-data"):
            part = self.body.partition(b'name="spec"')[2].partition(b"\r\n\r\n")[2]
            spec = json.loads(part.partition(b"\r\n--")[0])
            spec["file_bytes"] = len(self.body)
        else:
            spec = json.loads(self.body)
            if not spec["input"].startswith("https://"):
                return self.problem(
                    422, "invalid_spec", "The job spec is not valid.", "Correct the fields named above."
                )
        self.api.submitted.append(spec)
        item = job(f"job_new{len(self.api.submitted)}", name=spec.get("name") or spec["input"].rpartition("/")[2])
        self.api.put(item)
        return self.json(item, 202)

    def one(self, job_id: str) -> None:
        item = self.api.jobs.get(job_id)
        if item is None:
            return self.problem(404, "not_found", f"There is no job {job_id}.", "Check the id.")
        return self.json(item)

    def act(self, job_id: str, action: str) -> None:
        status = {"cancel": "canceled", "retry": "queued"}[action]
        self.api.put(self.api.jobs[job_id] | {"status": status, "error": None, "failures": 0})
        self.json(self.api.jobs[job_id], 202)

    def remove(self, job_id: str) -> None:
        del self.api.jobs[job_id]
        self.api.tell("removed", {"id": job_id})
        self.send(204, b"", "application/json")

    def tries(self, job_id: str) -> None:
        self.json({"attempts": self.api.attempts.get(job_id, [])})

    # what hangs on a job

    def rows(self, job_id: str) -> None:
        low, high = int(self.query.get("from_ms", 0)), int(self.query.get("to_ms", 10**12))
        found = [row for row in self.api.frames.get(job_id, []) if low <= row["ts_ms"] <= high]
        start, limit = int(self.query.get("cursor", 0)), int(self.query.get("limit", 100))
        more = str(start + limit) if start + limit < len(found) else None
        self.json({"frames": found[start : start + limit], "next_cursor": more})

    def image(self, *_: str) -> None:
        self.send(200, self.api.picture, "image/jpeg")

    def media(self, job_id: str, path: str) -> None:
        self.file(self.api.streams[job_id] / path, content_type(path))

    def search(self) -> None:
        q = self.query["q"].lower()
        found = [moment for moment in self.api.moments if q in moment["snippet"].lower()]
        self.json({"query": q, "mode": "text", "capped": False, "moments": found, "next_cursor": None})

    # streams

    def log(self, job_id: str) -> None:
        lines = self.api.logs.get(job_id, [])
        over = self.api.jobs[job_id]["status"] in _OVER
        after = int(self.headers.get("Last-Event-ID") or self.query.get("after", 0))
        if over and after >= len(lines) > 0:
            return self.send(204, b"", "text/event-stream")
        self._open_stream()
        for seq, (event, data) in enumerate(lines, 1):
            if seq > after:
                self._event(event, {"seq": seq, **data}, seq)
        while not over and not self.api.closing.wait(_HEARTBEAT_S):
            self.wfile.write(b":\n\n")
        return None

    def events(self) -> None:
        listener: queue.Queue[tuple[str, Json]] = queue.Queue()
        self._open_stream()
        self.api.listeners.append(listener)
        try:
            while not self.api.closing.is_set():
                try:
                    self._event(*listener.get(timeout=_HEARTBEAT_S))
                except queue.Empty:
                    self.wfile.write(b":\n\n")
        finally:
            self.api.listeners.remove(listener)

    def _open_stream(self) -> None:
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(b"retry: 300\n\n")

    def _event(self, event: str, data: Json, seq: int | None = None) -> None:
        head = f"id: {seq}\n" if seq else ""
        self.wfile.write(f"{head}event: {event}\ndata: {json.dumps(data)}\n\n".encode())


_J = r"/api/v1/jobs/([\w-]+)"
_ROUTES: list[tuple[str, str, Callable[..., None]]] = [
    ("GET", r"/dashboard/(.*)", _Handler.page),
    ("GET", r"/docs/(.*)", _Handler.docs),
    ("GET", r"/openapi\.json", _Handler.openapi),
    ("GET", r"/api/v1/jobs", _Handler.list),
    ("POST", r"/api/v1/jobs", _Handler.submit),
    ("GET", r"/api/v1/jobs/counts", _Handler.counts),
    ("GET", r"/api/v1/events", _Handler.events),
    ("GET", r"/api/v1/search", _Handler.search),
    ("GET", rf"{_J}/frames/(\d+)\.jpg", _Handler.image),
    ("GET", rf"{_J}/hls/poster\.jpg", _Handler.image),
    ("GET", rf"{_J}/frames", _Handler.rows),
    ("GET", rf"{_J}/hls/([\w.]+)", _Handler.media),
    ("GET", rf"{_J}/logs", _Handler.log),
    ("GET", rf"{_J}/attempts", _Handler.tries),
    ("POST", rf"{_J}/(cancel|retry)", _Handler.act),
    ("GET", _J, _Handler.one),
    ("DELETE", _J, _Handler.remove),
]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    #: A page asks for twenty pictures at once; the library's five would refuse some.
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away in the middle of an answer is no error."""


@contextmanager
def serving(api: FakeApi, port: int = 0) -> Iterator[FakeApi]:
    """Serve `api` on a free loopback port while the block runs."""
    handler = type("Handler", (_Handler,), {"api": api})
    server = _Server(("127.0.0.1", port), handler)
    api.closing.clear()
    api.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield api
    finally:
        api.closing.set()
        for listener in list(api.listeners):
            listener.put(("bye", {}))
        server.shutdown()
        server.server_close()
        thread.join()
