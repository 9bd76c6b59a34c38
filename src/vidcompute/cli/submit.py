"""`vidctl submit`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, BinaryIO

import click

from vidcompute.cli import output
from vidcompute.cli.client import API, Client, talk
from vidcompute.cli.progress import byte_bar, exit_code, follow, say_outcome, shower
from vidcompute.cli.state import Exit, State


def _tag(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    tags = {}
    for value in values:
        key, separator, text = value.partition("=")
        if not separator or not key:
            raise click.BadParameter(f"{value!r} is not KEY=VALUE")
        tags[key] = text
    return tags


@click.command()
@click.argument("source", metavar="FILE|URL|-")
@click.option("--name", help="Name shown to people; default: the file's.")
@click.option("--preset", type=click.Choice(["fast", "balanced", "quality"]), help="CPU for file size.")
@click.option("--height", "heights", type=int, multiple=True, metavar="PX", help="A rung of this height; repeatable.")
@click.option("--codec", type=click.Choice(["h264", "hevc", "av1", "vp9"]))
@click.option("--bitrate", metavar="RATE", help="Average bit rate, such as 3M or 800k.")
@click.option("--packaging", type=click.Choice(["hls", "dash", "mp4"]), multiple=True, help="Repeatable.")
@click.option("--llm/--no-llm", "enable_llm", default=None, help="Describe frames, or streaming only.")
@click.option(
    "--frames", "mode", type=click.Choice(["auto", "scene", "fps", "every"]), help="Which frames to describe."
)
@click.option("--fps", type=float, help="Described frames per second, for --frames fps.")
@click.option("--ocr", type=click.Choice(["auto", "on", "off"]), help="Read on-screen text.")
@click.option("--priority", type=click.Choice(["high", "normal", "low"]))
@click.option("--tag", "tags", multiple=True, callback=_tag, metavar="K=V", help="Repeatable.")
@click.option("--max-attempts", type=int)
@click.option("--idempotency-key", metavar="KEY", help="The same key and request give the same job.")
@click.option("--wait", is_flag=True, help="Follow the job until it is over.")
@click.option("--json", "as_json", is_flag=True, help="Print the job as JSON.")
@click.pass_obj
def submit(
    state: State, /, source: str, *, wait: bool, as_json: bool, idempotency_key: str | None, **chosen: Any
) -> int:
    """Submit a file, a URL, or - for standard input. Prints the job's id."""
    spec = _spec(chosen)

    async def work(client: Client) -> int:
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        if "://" in source or source.startswith("upload:"):
            job = await client.post(f"{API}/jobs", {**spec, "input": source}, headers=headers)
        else:
            job = await send_file(client, source, spec, headers=headers)
        if not wait:
            if as_json:
                output.print_json(job)
            else:
                click.echo(job["id"])
                output.err().print(f"submitted [b]{job['name']}[/b]; follow it with: vidctl watch {job['id']}")
            return Exit.OK
        job = await follow(client, job["id"], shower(job["name"]))
        if as_json:
            output.print_json(job)
        else:
            click.echo(job["id"])
            say_outcome(job, server=client.server)
        return exit_code(job)

    return talk(state, work)


def _spec(chosen: dict[str, Any]) -> dict[str, Any]:
    """Only what was said: defaults are the service's business."""
    heights, packaging = chosen.pop("heights"), chosen.pop("packaging")
    frames = {key: value for key in ("mode", "fps", "ocr") if (value := chosen.pop(key)) is not None}
    spec = {key: value for key, value in chosen.items() if value is not None and value != {}}
    if heights:
        spec["outputs"] = [{"height": height} for height in heights]
    if packaging:
        spec["packaging"] = list(packaging)
    if frames:
        spec["frames"] = frames
    return spec


async def send_file(
    client: Client, source: str, spec: dict[str, Any], *, headers: dict[str, str] | None = None
) -> dict[str, Any]:
    """Upload a local file, or standard input for -, and submit it."""
    if source == "-":
        if sys.stdin.isatty():
            raise click.UsageError("- reads a video from standard input, but that is a terminal")
        return await _send(client, sys.stdin.buffer, "stdin", None, spec, headers)
    path = Path(source)
    if not path.is_file():
        raise click.UsageError(f"{source!r} is neither a file here nor a URL")
    with path.open("rb") as file:
        return await _send(client, file, path.name, path.stat().st_size, spec, headers)


async def _send(
    client: Client,
    file: BinaryIO,
    name: str,
    total_bytes: int | None,
    spec: dict[str, Any],
    headers: dict[str, str] | None,
) -> dict[str, Any]:
    with byte_bar(f"uploading {name}", total_bytes) as seen:
        job: dict[str, Any] = await client.upload(spec, file, name=name, seen=seen, headers=headers)
        return job
