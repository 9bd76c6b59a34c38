"""Following a job: bars for people, lines for logs, NDJSON for programs; and bars for bytes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)

from vidcompute.cli import output
from vidcompute.cli.client import API, Client, StreamEvent
from vidcompute.cli.state import Exit


class Shower(Protocol):
    """Shows events as they come."""

    def show(self, event: StreamEvent) -> None:
        """One event."""
        ...

    def close(self) -> None:
        """Leave the screen tidy."""
        ...


class Bars:
    """One bar with phase, frames, rate and speed. Warnings of the log appear above it."""

    def __init__(self, name: str, console: Console) -> None:
        self._progress = Progress(
            SpinnerColumn(finished_text="•"),
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("[dim]{task.fields[rates]}"),
            TimeElapsedColumn(),
            console=console,
        )
        self._name = escape(name)
        self._task: TaskID = self._progress.add_task(f"{self._name} · queued", total=100.0, rates="")
        self._progress.start()

    def show(self, event: StreamEvent) -> None:
        """Moves the bar, or prints a warning above it."""
        data = event.data
        if event.kind == "progress":
            phase = data.get("phase") or "running"
            self._progress.update(
                self._task,
                completed=data.get("percent") or 0.0,
                description=f"{self._name} · {phase}",
                rates=rates(data),
            )
        elif event.kind in {"state", "end"} and data.get("status"):
            completed = 100.0 if data["status"] == "succeeded" else None
            self._progress.update(self._task, completed=completed, description=f"{self._name} · {data['status']}")
        elif event.kind == "log" and data.get("level") in {"warning", "error"}:
            self._progress.console.print(f"[yellow]![/yellow] {escape(str(data.get('message', '')))}")

    def close(self) -> None:
        """The bar stays as it was last."""
        self._progress.stop()


class Lines:
    """A line per change of status or phase: for a standard error that is not a screen."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last = ""

    def show(self, event: StreamEvent) -> None:
        """Prints what is new."""
        data = event.data
        if event.kind == "log" and data.get("level") in {"warning", "error"}:
            self._console.print(f"{data['level']}: {data.get('message', '')}", markup=False)
            return
        word = data.get("phase") if event.kind == "progress" else data.get("status")
        # That a job is running is said by its phases.
        if word and word not in {self._last, "running"}:
            self._last = str(word)
            self._console.print(self._last, markup=False)

    def close(self) -> None:
        """Nothing to tidy."""


class Json:
    """Every event as a line of JSON on standard output."""

    def show(self, event: StreamEvent) -> None:
        """One line."""
        output.print_json_line({"event": event.kind, **event.data})

    def close(self) -> None:
        """Nothing to tidy."""


def rates(progress: dict[str, Any]) -> str:
    """`frame 93/150 · 48.2 fps · 3.1x · 4s left`, as much of it as is known."""
    parts = []
    if progress.get("frames"):
        parts.append(f"frame {progress.get('frame') or 0}/{progress['frames']}")
    if progress.get("fps"):
        parts.append(f"{progress['fps']:.1f} fps")
    if progress.get("speed"):
        parts.append(f"{progress['speed']:.2g}×")
    if progress.get("eta_s") is not None:
        parts.append(f"{output.seconds(progress['eta_s'])} left")
    return " · ".join(parts)


def shower(name: str) -> Shower:
    """What suits standard error."""
    console = output.err()
    return Bars(name, console) if console.is_terminal else Lines(console)


async def follow(client: Client, job_id: str, show: Shower) -> dict[str, Any]:
    """Show a job's events until it is over; the job as it ended."""
    try:
        async for event in client.events(job_id):
            show.show(event)
    finally:
        show.close()
    job: dict[str, Any] = await client.get(f"{API}/jobs/{job_id}")
    return job


def exit_code(job: dict[str, Any]) -> int:
    """0 for a job that succeeded, 3 for one that did not."""
    return Exit.OK if job["status"] == "succeeded" else Exit.JOB_FAILED


def say_outcome(job: dict[str, Any], *, server: str) -> None:
    """How a job ended, for people; `server` is where it can be played from."""
    console = output.err()
    took = output.took_s(job)
    line = output.status_text(job)
    if took is not None:
        line.append(f" in {output.seconds(took)}")
    console.print(line)
    if job["error"]:
        console.print(f"{job['error']['title']}: {job['error']['detail']}", markup=False)
        console.print(f"  → {job['error']['hint']}", markup=False)
    for warning in job["warnings"]:
        text = warning if isinstance(warning, str) else warning.get("detail") or warning.get("message") or str(warning)
        console.print(f"warning: {text}", markup=False)
    url = job["parts"]["hls"].get("url")
    if url:
        console.print(f"play: {server}{url}", markup=False, soft_wrap=True)


@contextmanager
def byte_bar(label: str, total_bytes: int | None) -> Iterator[Callable[[int], None]]:
    """A bar for bytes on standard error, if that is a screen; yields what advances it."""
    console = output.err()
    if not console.is_terminal:
        yield lambda _count: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=30), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(escape(label), total=total_bytes)
        yield lambda count: bar.advance(task, count)


def piped() -> bool:
    """Whether standard output goes to a program."""
    return not sys.stdout.isatty()
