"""`vidctl demo`: the main job on the bundled clip, from HTTP to verified streams, with no key and no network."""

from __future__ import annotations

import asyncio
import json
import shlex
import shutil
import sys
import time
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import click
from rich.markup import escape

from vidcompute.cli import output
from vidcompute.cli.client import API, Client, StreamEvent
from vidcompute.cli.demo_checks import Check, verify
from vidcompute.cli.download import fetch_all
from vidcompute.cli.progress import Shower, follow, say_outcome, shower
from vidcompute.cli.state import Exit, State
from vidcompute.cli.submit import send_file

_FOLDER = click.Path(path_type=Path, file_okay=False)


@dataclass(slots=True)
class Result:
    """What the demo made and how long it took."""

    job: dict[str, Any]
    checks: list[Check]
    phases_s: dict[str, float]
    files: list[dict[str, Any]] = field(default_factory=list)

    @property
    def verified(self) -> bool:
        """Whether every check holds."""
        return all(check.ok for check in self.checks)


@dataclass(slots=True)
class Stopwatch:
    """Passes events on, and notes for how long each phase was shown."""

    inner: Shower
    phases_s: dict[str, float] = field(default_factory=dict)
    _phase: str = "queued"
    _since_s: float = field(default_factory=time.monotonic)

    def show(self, event: StreamEvent) -> None:
        """One event."""
        phase = event.data.get("phase") if event.kind == "progress" else None
        if (phase and phase != self._phase) or event.kind == "end":
            now_s = time.monotonic()
            self.phases_s[self._phase] = self.phases_s.get(self._phase, 0.0) + now_s - self._since_s
            self._phase, self._since_s = str(phase), now_s
        self.inner.show(event)

    def close(self) -> None:
        """Leave the screen tidy."""
        self.inner.close()


@click.command()
@click.option("--data-dir", type=_FOLDER, default=Path("var/demo"), show_default=True, help="The service's data.")
@click.option("--output", "folder", type=_FOLDER, default=Path("out/demo"), show_default=True, help="The result.")
@click.option("--json", "as_json", is_flag=True)
def demo(*, data_dir: Path, folder: Path, as_json: bool) -> int:
    """Run the main job on the bundled clip, verify the result, and show it.

    Starts a service of its own on a free port, submits the clip over HTTP and reads everything back.
    Exits 0 only if all of it holds.
    """
    from vidcompute import app  # noqa: PLC0415 - the service is heavy; no other command should pay for it
    from vidcompute.monitor import setup_logging  # noqa: PLC0415 - structlog, likewise

    # The describer is named here: a key in somebody's environment must never make a demo cost money.
    overrides = {"host": "127.0.0.1", "port": 0, "data_dir": data_dir, "llm_provider": "local", "log_level": "error"}
    config = app.load_config(None, overrides)
    # Unconfigured, the logger of the service in this very process would print between our own lines.
    setup_logging(config.log_level)

    async def go() -> Result:
        output.err().print("starting the service …")
        async with app.running(config) as service, Client(State(service.base_url)) as client:
            return await run_demo(client, folder)

    result = asyncio.run(go())
    if as_json:
        output.print_json(_as_json(result, folder))
    else:
        _print(result, folder, data_dir)
    if result.job["status"] != "succeeded":
        return Exit.JOB_FAILED
    return Exit.OK if result.verified else Exit.ERROR


async def run_demo(client: Client, folder: Path) -> Result:
    """Submit the clip, follow it, verify and fetch its result."""
    assets = resources.files("vidcompute") / "assets"
    truth = json.loads((assets / "demo.json").read_text("utf-8"))
    with resources.as_file(assets / "demo.mp4") as clip:
        job = await send_file(client, str(clip), {"name": "demo.mp4", "tags": {"demo": "yes"}})
    watch = Stopwatch(shower(job["name"]))
    job = await follow(client, job["id"], watch)
    if job["status"] != "succeeded":
        await _explain(client, job)
        return Result(job, [Check("job", ok=False, detail=f"the job {job['status']}")], watch.phases_s)
    checks = await verify(client, job, truth)
    files = await fetch_all(client, job["id"], folder)
    return Result(job, checks, watch.phases_s, files)


async def _explain(client: Client, job: dict[str, Any]) -> None:
    """Why it failed, down to the last lines of the program that failed."""
    say_outcome(job, server=client.server)
    console = output.err()
    for attempt in (await client.get(f"{API}/jobs/{job['id']}/attempts"))["attempts"]:
        evidence = (attempt["problem"] or {}).get("evidence") or {}
        tail = evidence.get("stderr_tail") or evidence.get("traceback") or ""
        lines = tail if isinstance(tail, list) else str(tail).splitlines()
        for line in lines[-12:]:
            console.print(f"  attempt {attempt['attempt']}: {line}", markup=False)


def _as_json(result: Result, folder: Path) -> dict[str, Any]:
    return {
        "verified": result.verified,
        "checks": [{"name": check.name, "ok": check.ok, "detail": check.detail} for check in result.checks],
        "phases_s": {name: round(value, 3) for name, value in result.phases_s.items()},
        "output": str(folder),
        "files": result.files,
        "job": result.job,
    }


def _print(result: Result, folder: Path, data_dir: Path) -> None:
    console = output.out()
    if result.job["renditions"]:
        table = output.plain_table("rendition", "size", "codec", "bit rate", "bytes")
        for item in result.job["renditions"]:
            picture = f"{item['width']}×{item['height']}" if item["width"] else "–"
            values = (item["name"], picture, item["codec"] or "–", output.bitrate(item["bitrate"]))
            table.add_row(*values, output.size(item["bytes"]))
        console.print(table)
        console.print()
    table = output.plain_table("", "verified", "")
    for check in result.checks:
        sign = "[green]✔[/green]" if check.ok else "[red]✖[/red]"
        table.add_row(sign, check.name, escape(check.detail))
    console.print(table)
    console.print()
    _print_times(result)
    if not result.verified:
        console.print("[red]✖ the demo's result did not pass verification[/red]")
        return
    total = output.size(sum(item["bytes"] for item in result.files))
    console.print(f"[b]files[/b]  {escape(str(folder))}  ({len(result.files)} files, {total})")
    # As it was called: in a checkout, vidctl is in .venv/bin and not on the PATH.
    program = "vidctl" if shutil.which("vidctl") else sys.argv[0]
    look = f"{shlex.quote(program)} serve --data-dir {shlex.quote(str(data_dir))}"
    console.print(f"[b]look[/b]   {escape(look)}")
    console.print(f"       then open http://127.0.0.1:8080/dashboard/jobs/{result.job['id']}", markup=False)


def _print_times(result: Result) -> None:
    took_s = output.took_s(result.job)
    source = result.job["source"] or {}
    if took_s is None:
        return
    phases = ", ".join(f"{name} {seconds:.1f}s" for name, seconds in result.phases_s.items())
    speed = f" ({source['duration_ms'] / 1000 / took_s:.2g} × real time)" if source.get("duration_ms") else ""
    output.out().print(f"[b]time[/b]   {output.seconds(took_s)}{speed}: {escape(phases)}")
