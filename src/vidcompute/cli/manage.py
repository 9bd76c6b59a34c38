"""`vidctl cancel`, `retry`, `rm` and `dead`."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import Any

import click

from vidcompute.cli import output
from vidcompute.cli.client import API, Client, talk
from vidcompute.cli.look import print_jobs
from vidcompute.cli.state import CliError, Exit, State

_IDS = click.argument("job_ids", metavar="ID…", nargs=-1, required=True)
_JSON = click.option("--json", "as_json", is_flag=True)


@click.command()
@_IDS
@_JSON
@click.pass_obj
def cancel(state: State, job_ids: tuple[str, ...], *, as_json: bool) -> int:
    """Stop jobs: queued ones at once, running ones as soon as their processes have ended."""

    async def one(client: Client, job_id: str) -> Any:
        return await client.post(f"{API}/jobs/{job_id}/cancel")

    return _each(state, job_ids, one, "canceled", as_json=as_json)


@click.command()
@_IDS
@_JSON
@click.pass_obj
def retry(state: State, job_ids: tuple[str, ...], *, as_json: bool) -> int:
    """Try failed or canceled jobs again; what was already made is not made again."""

    async def one(client: Client, job_id: str) -> Any:
        return await client.post(f"{API}/jobs/{job_id}/retry")

    return _each(state, job_ids, one, "queued", as_json=as_json)


@click.command()
@_IDS
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@_JSON
@click.pass_obj
def rm(state: State, job_ids: tuple[str, ...], *, yes: bool, as_json: bool) -> int:
    """Forget jobs that are over, and delete their files."""
    if not yes and sys.stdin.isatty():
        click.confirm(f"Delete {len(job_ids)} job(s) and their files?", abort=True, err=True)

    async def one(client: Client, job_id: str) -> Any:
        await client.delete(f"{API}/jobs/{job_id}")
        return {"id": job_id, "deleted": True}

    return _each(state, job_ids, one, "deleted", as_json=as_json)


def _each(
    state: State,
    job_ids: tuple[str, ...],
    one: Callable[[Client, str], Awaitable[Any]],
    done: str,
    *,
    as_json: bool,
) -> int:
    """All of them, whatever becomes of some; the first failure decides the exit code."""

    async def work(client: Client) -> int:
        code: int = Exit.OK
        results = []
        for job_id in job_ids:
            try:
                result = await one(client, job_id)
                results.append(result)
                if not as_json:
                    # A running job is stopped in its own time; "running" would read as if nothing had happened.
                    word = "canceling" if result.get("cancel_requested") else result.get("status", done)
                    click.echo(f"{job_id} {word}")
            except CliError as error:
                if error.code in {Exit.UNREACHABLE, Exit.TIMEOUT}:
                    raise
                code = code or error.code
                click.echo(f"vidctl: {job_id}: {error.message}", err=True)
                if error.hint:
                    click.echo(f"  → {error.hint}", err=True)
        if as_json:
            output.print_json(results)
        return code

    return talk(state, work)


@click.group(invoke_without_command=True)
@_JSON
@click.pass_context
def dead(context: click.Context, *, as_json: bool) -> None:
    """List the jobs that gave up; `dead requeue` tries them again."""
    if context.invoked_subcommand is not None:
        return

    async def work(client: Client) -> None:
        page = await client.get(f"{API}/dead-letters")
        output.print_json(page) if as_json else print_jobs(page["dead_letters"], none="no dead letters")

    talk(context.obj, work)


@dead.command()
@click.argument("job_ids", metavar="[ID…]", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All of them, 200 at a time.")
@_JSON
@click.pass_obj
def requeue(state: State, job_ids: tuple[str, ...], *, everything: bool, as_json: bool) -> int:
    """Try dead letters again: the ones named, or --all."""
    if bool(job_ids) == everything:
        raise click.UsageError("name job ids, or give --all")

    async def work(client: Client) -> int:
        body: dict[str, Any] = {"all": True} if everything else {"ids": list(job_ids)}
        result = await client.post(f"{API}/dead-letters/requeue", body)
        if as_json:
            output.print_json(result)
        else:
            for job_id in result["requeued"]:
                click.echo(f"{job_id} queued")
            for item in result["skipped"]:
                click.echo(f"vidctl: {item['pointer']}: {item['msg']}", err=True)
            if not result["requeued"] and not result["skipped"]:
                output.err().print("no dead letters")
        return Exit.ERROR if result["skipped"] else Exit.OK

    return talk(state, work)
