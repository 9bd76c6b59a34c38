"""`vidctl search`."""

from __future__ import annotations

from typing import Any

import click
from rich.markup import escape

from vidcompute.cli import output
from vidcompute.cli.client import API, Client, talk
from vidcompute.cli.state import State


@click.command()
@click.argument("query", nargs=-1, required=True)
@click.option("--mode", type=click.Choice(["text", "meaning", "hybrid"]), default="text", show_default=True)
@click.option("--job", "job_id", metavar="ID", help="Only in this job.")
@click.option("--tag", "tags", multiple=True, metavar="K=V")
@click.option("--limit", type=click.IntRange(1, 100), default=20, show_default=True)
@click.option("--cursor", help="From next_cursor of an earlier page.")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def search(
    state: State,
    query: tuple[str, ...],
    *,
    mode: str,
    job_id: str | None,
    tags: tuple[str, ...],
    limit: int,
    cursor: str | None,
    as_json: bool,
) -> None:
    """Find the moment: words on screen or in descriptions."""
    by_tag = {f"tag.{key}": value for key, _, value in (tag.partition("=") for tag in tags)}

    async def work(client: Client) -> None:
        asked = {"q": " ".join(query), "mode": mode, "job_id": job_id, "limit": limit, "cursor": cursor}
        page = await client.get(f"{API}/search", {**asked, **by_tag})
        if as_json:
            output.print_json(page)
        else:
            _print(page, client.server)

    talk(state, work)


def _print(page: dict[str, Any], server: str) -> None:
    if not page["moments"]:
        output.err().print("nothing found")
        return
    table = output.plain_table("time", "video", "", "")
    for item in page["moments"]:
        link = f"[link={server}{item['url']}]{output.clock(item['start_ms'])}[/link]"
        table.add_row(link, escape(item["job_name"]), output.marked(item["snippet"]), f"[dim]{item['job_id']}[/dim]")
    output.out().print(table)
    if page["next_cursor"]:
        output.err().print(f"more: --cursor {page['next_cursor']}", markup=False)
