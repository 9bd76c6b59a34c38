"""What the API needs to know, and the few things it is handed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

#: Largest JSON body: a job spec with a long prompt is a few kilobytes.
MAX_JSON_BYTES = 1024 * 1024
#: Google's load balancer gives up on a silent response after 30 s.
MAX_WAIT_S = 25
#: Proxies drop connections that are silent for a minute, some after 30 s.
HEARTBEAT_S = 15.0


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """Settings of the HTTP side. `loopback_keyless` arms the Host and Origin check (see `api.guard`)."""

    max_upload_bytes: int
    loopback_keyless: bool = True
    allowed_hosts: tuple[str, ...] = ()
    #: Web origins (`https://app.example`) that may call the API from a browser; none by default.
    cors_origins: tuple[str, ...] = ()
    version: str = "0"
    #: Failures allowed to jobs that do not say.
    max_attempts: int = 4
    #: Folder of the built dashboard and Swagger UI; None if they were not built.
    web_dir: Path | None = None
    tenant_id: str = "default"
    heartbeat_s: float = HEARTBEAT_S
    #: Validity of pre-signed download URLs.
    signed_url_s: float = 3600.0
    #: More to say at /version: ffmpeg build and the like.
    build: tuple[tuple[str, str], ...] = ()


class HttpMetrics(Protocol):
    """Counts requests by route template, never by URL: a job id as a label would never end."""

    def observe(self, *, method: str, route: str, status: int, seconds: float) -> None:
        """One finished request."""
        ...


class EventLog(Protocol):
    """A structured logger: an event name and fields."""

    def warning(self, event: str, **fields: Any) -> Any:
        """Something an operator may want to know."""
        ...

    def exception(self, event: str, **fields: Any) -> Any:
        """A bug, with the traceback of the exception being handled."""
        ...
