"""Printing: data to standard output, talk to standard error; times and sizes as people read them."""

from __future__ import annotations

import json
import re
from datetime import datetime
from html import unescape
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

#: A state is a word with a sign, never a colour alone.
_SIGNS = {
    "queued": ("○", ""),
    "running": ("●", "cyan"),
    "succeeded": ("✔", "green"),
    "failed": ("✖", "red"),
    "canceled": ("■", "yellow"),
}
_DURATION = re.compile(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d+)?)(ms|s|m|h)?")
_UNIT_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}


def out() -> Console:
    """Standard output, for data. Wide when piped: a table cut to 80 columns is data lost."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=200)


def err() -> Console:
    """Standard error, for talk. Unwrapped when piped: a sentence in two lines is lost to whoever searches for it."""
    console = Console(stderr=True, highlight=False)
    return console if console.is_terminal else Console(stderr=True, highlight=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """One JSON document."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def print_json_line(value: Any) -> None:
    """One line of NDJSON, flushed: somebody is waiting for it."""
    click.echo(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def status_text(job: dict[str, Any]) -> Text:
    """Sign, word and phase of a job."""
    sign, style = _SIGNS.get(job["status"], ("?", ""))
    phase = f" · {job['phase']}" if job["status"] == "running" and job.get("phase") else ""
    return Text(f"{sign} {job['status']}{phase}", style=style)


def clock(ms: int) -> str:
    """83456 → 1:23.456."""
    seconds, rest = divmod(int(ms), 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    head = f"{hours}:{minutes:02}" if hours else f"{minutes}"
    return f"{head}:{seconds:02}.{rest:03}"


def parse_ms(text: str) -> int:
    """Milliseconds of 12.5, 10s, 500ms, 2m, 1:23.4 or 1:02:03. Raises click.BadParameter."""
    match = _DURATION.fullmatch(text.strip())
    if match is None or (match[2] and match[4]):
        raise click.BadParameter(f"{text!r} is not a time such as 12.5, 10s, 500ms or 1:23.4")
    seconds = float(match[3])
    if match[2]:
        return round((int(match[1] or 0) * 3600 + int(match[2]) * 60 + seconds) * 1000)
    return round(seconds * _UNIT_MS[match[4] or "s"])


def size(count: int | None) -> str:
    """1843750 → 1.8 MB."""
    if count is None:
        return "–"
    value, unit = float(count), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"


def bitrate(bps: int | None) -> str:
    """2950000 → 2.95 Mb/s."""
    if bps is None:
        return "–"
    return f"{bps / 1e6:.2f} Mb/s" if bps >= 1_000_000 else f"{bps / 1e3:.0f} kb/s"


def seconds(value: float | None) -> str:
    """134.2 → 2m14s."""
    if value is None:
        return "–"
    if value < 60:
        return f"{value:.1f}s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m" if hours else f"{minutes}m{rest:02}s"


def took_s(job: dict[str, Any]) -> float | None:
    """Wall seconds between start and end of a job."""
    if not job.get("started_at") or not job.get("finished_at"):
        return None
    return (moment(job["finished_at"]) - moment(job["started_at"])).total_seconds()


def moment(text: str) -> datetime:
    """An RFC 3339 time."""
    return datetime.fromisoformat(text)


def marked(snippet: str) -> Text:
    """A search snippet (HTML-escaped text with <mark>) with its hits in bold."""
    text = Text()
    for index, piece in enumerate(re.split(r"</?mark>", snippet)):
        text.append(unescape(piece), style="bold" if index % 2 else "")
    return text


def plain_table(*columns: str) -> Table:
    """A borderless table: copies and greps well."""
    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
