"""A server of files and nothing else, on a free port of this machine."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit


class _Files(SimpleHTTPRequestHandler):
    """Answers from the folder whose prefix the path begins with."""

    protocol_version = "HTTP/1.1"
    extensions_map = {  # noqa: RUF012 - the base class's own name and shape
        **SimpleHTTPRequestHandler.extensions_map,
        ".m3u8": "application/vnd.apple.mpegurl",
        ".mpd": "application/dash+xml",
        ".m4s": "video/iso.segment",
        ".mp4": "video/mp4",
        ".js": "text/javascript",
    }

    def __init__(self, *arguments: object, folders: Mapping[str, Path]) -> None:
        self._folders = folders
        super().__init__(*arguments)

    def translate_path(self, path: str) -> str:
        _, prefix, *rest = unquote(urlsplit(path).path).split("/")
        root = self._folders.get(prefix)
        found = root.joinpath(*rest).resolve() if root else None
        inside = found is not None and found.is_relative_to(root.resolve())
        return str(found) if inside else "/nonexistent"

    def log_message(self, *arguments: object) -> None:
        """Says nothing."""


@contextlib.contextmanager
def serving(**folders: Path) -> Iterator[str]:
    """The base URL of a server that shows each folder below its name."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Files, folders=folders))
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
