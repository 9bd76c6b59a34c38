"""`vidctl download`: every file of a result, resumable, verified by size."""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import click

from vidcompute.cli import output
from vidcompute.cli.client import API, Client, talk
from vidcompute.cli.progress import byte_bar
from vidcompute.cli.state import CliError, State


@click.command()
@click.argument("job_id", metavar="ID")
@click.option("-o", "--output", "folder", type=click.Path(path_type=Path, file_okay=False), help="Default: ./ID.")
@click.option("--only", metavar="GLOB", help="Only files whose name matches, such as '*.m3u8'.")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def download(state: State, job_id: str, *, folder: Path | None, only: str | None, as_json: bool) -> None:
    """Fetch the files of a job's result. Run again after a break, it goes on where it stopped."""
    target = folder or Path(job_id)

    async def work(client: Client) -> None:
        files = await fetch_all(client, job_id, target, only=only)
        total = sum(item["bytes"] for item in files)
        if as_json:
            output.print_json({"folder": str(target), "files": files, "total_bytes": total})
        else:
            click.echo(target)
            output.err().print(f"{len(files)} files, {output.size(total)}")

    talk(state, work)


async def fetch_all(client: Client, job_id: str, folder: Path, *, only: str | None = None) -> list[dict[str, Any]]:
    """Fetch a result below `folder`; what is there with the right size stays. Name and size of each file."""
    listed = (await client.get(f"{API}/jobs/{job_id}/downloads"))["files"]
    files = [item for item in listed if only is None or fnmatch(item["name"], only)]
    if not files:
        raise CliError(f"no file of {job_id} matches {only!r}" if only else f"{job_id} has no files")
    with byte_bar(f"downloading {job_id}", sum(item["bytes"] for item in files)) as seen:
        for item in files:
            await _fetch(client, item, _target(folder, item["name"]), seen)
    return [{"name": item["name"], "bytes": item["bytes"]} for item in files]


def _target(folder: Path, name: str) -> Path:
    """Where a file goes: never outside `folder`, whatever a server calls it."""
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise CliError(f"the server names a file outside the folder: {name!r}")
    return path


async def _fetch(client: Client, item: dict[str, Any], path: Path, seen: Callable[[int], None]) -> None:
    wanted = item["bytes"]
    if path.is_file() and path.stat().st_size == wanted:
        seen(wanted)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    have = part.stat().st_size if part.is_file() else 0
    if have > wanted:
        part.unlink()
        have = 0
    if have < wanted:
        headers = {"Range": f"bytes={have}-"} if have else {}
        async with client.stream(item["url"], headers=headers) as response:
            # A server that ignores ranges sends the whole again.
            mode = "ab" if response.status_code == 206 else "wb"
            seen(have if mode == "ab" else 0)
            with part.open(mode) as file:
                async for chunk in response.aiter_bytes():
                    file.write(chunk)
                    seen(len(chunk))
    elif not wanted:
        part.touch()
    if part.stat().st_size != wanted:
        raise CliError(
            f"{item['name']} arrived with {part.stat().st_size} of {wanted} bytes", hint="Run the command again."
        )
    part.replace(path)
