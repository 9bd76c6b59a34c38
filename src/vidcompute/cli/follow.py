"""`vidctl watch` and `vidctl logs`."""

from __future__ import annotations

import click

from vidcompute.cli import output
from vidcompute.cli.client import API, Client, StreamEvent, talk
from vidcompute.cli.progress import Json, exit_code, piped, say_outcome, shower
from vidcompute.cli.progress import follow as follow_job
from vidcompute.cli.state import CliError, Exit, State


@click.command()
@click.argument("job_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Events as NDJSON; the default when piped.")
@click.pass_obj
def watch(state: State, job_id: str, *, as_json: bool) -> int:
    """Follow a job until it is over: bars on a terminal, NDJSON when piped.

    Ctrl-C stops watching; the job goes on. Exits 3 if the job does not succeed.
    """

    async def work(client: Client) -> int:
        job = await client.get(f"{API}/jobs/{job_id}")
        machine = as_json or piped()
        job = await follow_job(client, job_id, Json() if machine else shower(job["name"]))
        if not machine:
            say_outcome(job, server=client.server)
        return exit_code(job)

    try:
        return talk(state, work)
    except KeyboardInterrupt:
        hint = f"Watch it again with: vidctl watch {job_id}"
        raise CliError("stopped watching; the job goes on", code=Exit.INTERRUPTED, hint=hint) from None


@click.command()
@click.argument("job_id", metavar="ID")
@click.option("-f", "--follow", is_flag=True, help="Go on until the job is over.")
@click.option("--json", "as_json", is_flag=True, help="NDJSON.")
@click.pass_obj
def logs(state: State, job_id: str, *, follow: bool, as_json: bool) -> None:
    """Print a job's log; with -f, also what is still to come."""

    async def work(client: Client) -> None:
        if follow:
            async for event in client.events(job_id):
                if as_json:
                    output.print_json_line({"event": event.kind, **event.data})
                elif event.kind != "progress":
                    click.echo(_line(event))
            return
        accept = "application/x-ndjson" if as_json else "text/plain"
        async with client.stream(f"{API}/jobs/{job_id}/logs", headers={"Accept": accept}) as response:
            async for piece in response.aiter_text():
                click.echo(piece, nl=False)

    talk(state, work)


def _line(event: StreamEvent) -> str:
    data = event.data
    error = data.get("error") if event.kind == "end" else None
    why = f" {error['code']}: {error['detail']}" if error else ""
    at = output.moment(data["at"]).strftime("%H:%M:%S") if "at" in data else ""
    if event.kind == "log":
        return f"{at} {data.get('level', 'info'):<7} {data.get('message', '')}"
    return f"{at} {event.kind:<7} {data.get('status', '')}{why}"
