"""`vidctl status` and `vidctl ls`."""

from __future__ import annotations

from typing import Any

import click
from rich.markup import escape

from vidcompute.cli import output
from vidcompute.cli.client import API, Client, talk
from vidcompute.cli.progress import rates
from vidcompute.cli.state import State


@click.command()
@click.argument("job_id", metavar="[ID]", required=False)
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def status(state: State, job_id: str | None, *, as_json: bool) -> None:
    """Show one job; without ID, the service: version, jobs by status, machines, queue."""

    async def work(client: Client) -> None:
        if job_id:
            job = await client.get(f"{API}/jobs/{job_id}")
            output.print_json(job) if as_json else _print_job(job, client.server)
            return
        service = {
            "server": client.server,
            **await client.get("/version"),
            "jobs": await client.get(f"{API}/jobs/counts"),
            "queue": await client.get(f"{API}/system/queue"),
            **await client.get(f"{API}/system/nodes"),
        }
        output.print_json(service) if as_json else _print_service(service)

    talk(state, work)


def _print_service(service: dict[str, Any]) -> None:
    console = output.out()
    paused = "  [yellow]queue paused[/yellow]" if service["queue"]["paused"] else ""
    console.print(f"vidcompute {service['version']} at {service['server']}{paused}")
    table = output.plain_table("jobs", "")
    for name, count in service["jobs"].items():
        table.add_row(name, str(count))
    console.print(table)
    table = output.plain_table("node", "cpu free/total", "gpu", "memory free/total", "")
    for node in service["nodes"]:
        free, total = node["free"], node["total"]
        memory = f"{output.size(free['memory_bytes'])} / {output.size(total['memory_bytes'])}"
        cpu, gpu = f"{free['cpu']:g} / {total['cpu']:g}", f"{free['gpu']:g} / {total['gpu']:g}"
        table.add_row(node["id"], cpu, gpu, memory, "" if node["alive"] else "[red]lost[/red]")
    console.print(table)


def _print_job(job: dict[str, Any], server: str) -> None:
    console = output.out()
    line = output.status_text(job)
    line.append(f"  {job['name']}", style="bold")
    console.print(line)
    facts = output.plain_table("", "")
    for name, value in _facts(job, server):
        facts.add_row(f"[dim]{name}[/dim]", escape(value))
    console.print(facts)
    if job["renditions"]:
        table = output.plain_table("rendition", "size", "codec", "bit rate", "bytes")
        for item in job["renditions"]:
            picture = f"{item['width']}×{item['height']}" if item["width"] else "–"
            values = (item["name"], picture, item["codec"] or "–", output.bitrate(item["bitrate"]))
            table.add_row(*values, output.size(item["bytes"]))
        console.print(table)


def _facts(job: dict[str, Any], server: str) -> list[tuple[str, str]]:
    facts = [("id", job["id"]), ("created", job["created_at"])]
    source = job["source"]
    if source:
        seconds = output.seconds((source["duration_ms"] or 0) / 1000)
        facts.append(
            ("source", f"{source['video_codec']} {source['width']}×{source['height']} {source['fps']} fps, {seconds}")
        )
    if job["status"] == "running":
        facts.append(("progress", f"{job['progress']['percent']:.0f}%  {rates(job['progress'])}"))
    if job["queue_position"] is not None:
        facts.append(("queue", f"{job['queue_position']} ahead"))
    for name, part in job["parts"].items():
        facts.append((name, _part(part, server)))
    return facts + _trouble(job)


def _trouble(job: dict[str, Any]) -> list[tuple[str, str]]:
    facts = []
    if job["failures"] or job["attempt"] > 1:
        facts.append(("attempts", f"{job['attempt']} starts, {job['failures']} of {job['max_attempts']} failures"))
    if job["next_attempt_at"]:
        facts.append(("next try", job["next_attempt_at"]))
    if (took := output.took_s(job)) is not None:
        facts.append(("took", output.seconds(took)))
    if job["error"]:
        error = job["error"]
        facts += [("error", f"{error['code']}: {error['detail']}"), ("→", error["hint"])]
    return facts


def _part(part: dict[str, Any], server: str) -> str:
    words = [part["status"]]
    if part.get("frames"):
        words.append(f"{part['frames']} frames, {part.get('descriptions') or 0} descriptions")
    # Whole addresses: a path alone cannot be pasted into a player.
    words += [server + part[key] for key in ("url", "dash_url") if part.get(key)]
    return "  ".join(words)


@click.command()
@click.option("--status", "wanted", metavar="S[,S]", help="queued, running, succeeded, failed, canceled.")
@click.option("--tag", "tags", multiple=True, metavar="K=V")
@click.option("-q", "--query", help="Part of the name.")
@click.option("--limit", type=click.IntRange(1, 200), default=20, show_default=True)
@click.option("--cursor", help="From next_cursor of an earlier page.")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def ls(
    state: State,
    *,
    wanted: str | None,
    tags: tuple[str, ...],
    query: str | None,
    limit: int,
    cursor: str | None,
    as_json: bool,
) -> None:
    """List jobs, newest first."""
    by_tag = {f"tag.{key}": value for key, _, value in (tag.partition("=") for tag in tags)}

    async def work(client: Client) -> None:
        params = {"status": wanted, "q": query, "limit": limit, "cursor": cursor, **by_tag}
        page = await client.get(f"{API}/jobs", params)
        if as_json:
            output.print_json(page)
            return
        print_jobs(page["jobs"], none="no jobs; submit one with: vidctl submit FILE")
        if page["next_cursor"]:
            click.echo(f"more: vidctl ls --cursor {page['next_cursor']}", err=True)

    talk(state, work)


def print_jobs(jobs: list[dict[str, Any]], *, none: str) -> None:
    """A table of jobs; a failed one says why. `none` is said if there are none."""
    if not jobs:
        output.err().print(none)
        return
    table = output.plain_table("id", "state", "progress", "name", "created", "")
    for job in jobs:
        percent = f"{job['progress']['percent']:.0f}%" if job["status"] == "running" else ""
        why = job["error"]["code"] if job["error"] else ""
        created = output.moment(job["created_at"]).astimezone().strftime("%Y-%m-%d %H:%M")
        table.add_row(job["id"], output.status_text(job), percent, escape(job["name"]), created, why)
    output.out().print(table)
