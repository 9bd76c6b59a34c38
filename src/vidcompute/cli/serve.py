"""`vidctl serve`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import click

from vidcompute.cli import output
from vidcompute.cli.state import State

_ROLES = ("api", "worker", "maintenance")


def roles(_: click.Context, __: click.Parameter, value: str) -> tuple[str, ...]:
    """Comma-separated roles, each known."""
    chosen = tuple(dict.fromkeys(part.strip() for part in value.split(",") if part.strip()))
    for role in chosen:
        if role not in _ROLES:
            raise click.BadParameter(f"{role!r} is not one of {', '.join(_ROLES)}")
    if not chosen:
        raise click.BadParameter(f"name at least one of {', '.join(_ROLES)}")
    return chosen


@click.command()
@click.option("--host", help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on; 0 takes a free one.")
@click.option("--data-dir", type=click.Path(path_type=Path, file_okay=False), help="Everything this machine keeps.")
@click.option("--role", "chosen", default=",".join(_ROLES), callback=roles, show_default=True, help="What to do.")
@click.option("--config", "path", type=click.Path(path_type=Path, dir_okay=False), help="Default: ./vidcompute.yaml.")
@click.pass_obj
def serve(
    _: State, *, host: str | None, port: int | None, data_dir: Path | None, chosen: tuple[str, ...], path: Path | None
) -> int:
    """Start the service: API, worker and maintenance in one process, until SIGTERM or Ctrl-C."""
    from vidcompute import app  # noqa: PLC0415 - the service is heavy; no other command should pay for it
    from vidcompute.config import Role  # noqa: PLC0415 - pydantic, likewise

    overrides: dict[str, Any] = {"host": host, "port": port, "data_dir": data_dir}
    config = app.load_config(path, overrides)

    def announce(service: app.Service) -> None:
        output.err().print(f"vidcompute is ready: {service.base_url}/dashboard/", markup=False)

    return asyncio.run(app.serve(config, frozenset(Role(role) for role in chosen), announce=announce))
