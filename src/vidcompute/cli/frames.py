"""`vidctl frames`."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import click
from rich.text import Text

from vidcompute.cli import output
from vidcompute.cli.client import API, Client, talk
from vidcompute.cli.progress import piped
from vidcompute.cli.state import State

_ACCEPT = {"json": "application/x-ndjson", "csv": "text/csv", "vtt": "text/vtt"}


def _time(_: click.Context, __: click.Parameter, value: str | None) -> int | None:
    return None if value is None else output.parse_ms(value)


@click.command()
@click.argument("job_id", metavar="ID")
@click.option("--from", "from_ms", callback=_time, metavar="TIME", help="Such as 10s or 1:23.4.")
@click.option("--to", "to_ms", callback=_time, metavar="TIME", help="Up to and including.")
@click.option("--format", "kind", type=click.Choice(["json", "csv", "vtt"]), help="json: one row a line.")
@click.option("--json", "as_json", is_flag=True, help="The same as --format json; the default when piped.")
@click.pass_obj
def frames(
    state: State, job_id: str, *, from_ms: int | None, to_ms: int | None, kind: str | None, as_json: bool
) -> None:
    """Print what was seen, frame by frame."""
    if from_ms is not None and to_ms is not None and from_ms > to_ms:
        raise click.UsageError(f"--from ({from_ms} ms) is later than --to ({to_ms} ms)")
    asked = {"from_ms": from_ms, "to_ms": to_ms}
    params = {name: value for name, value in asked.items() if value is not None}
    kind = kind or ("json" if as_json or piped() else None)

    async def work(client: Client) -> None:
        path = f"{API}/jobs/{job_id}/frames"
        if kind is None:
            await _table(client, path, params)
            return
        full = f"{path}?{urlencode(params)}" if params else path
        async with client.stream(full, headers={"Accept": _ACCEPT[kind]}) as response:
            async for piece in response.aiter_text():
                click.echo(piece, nl=False)

    talk(state, work)


async def _table(client: Client, path: str, params: dict[str, Any]) -> None:
    """For people: one line per run of frames with the same description."""
    console = output.out()
    cursor, last = None, None
    while True:
        page = await client.get(path, {**params, "limit": 200, "cursor": cursor})
        for row in page["frames"]:
            said = row["description"]
            key = (row["scene_no"], said and said["desc_no"])
            if key != last:
                last = key
                summary = (said and said["context"].get("summary")) or "–"
                head = f"{output.clock(row['ts_ms'])}  #{row['frame_no']}  scene {row['scene_no']}  "
                console.print(Text(head, style="dim").append(summary, style="not dim"))
        cursor = page["next_cursor"]
        if cursor is None:
            return
