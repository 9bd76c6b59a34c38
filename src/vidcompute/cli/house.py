"""`vidctl explain`, `doctor`, `migrate`, `config` and `completion`: what needs this machine, not a server."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidcompute.cli import output
from vidcompute.cli.state import CliError, Exit

if TYPE_CHECKING:
    from vidcompute.config import Config

_CONFIG = click.option(
    "--config", "path", type=click.Path(path_type=Path, dir_okay=False), help="Default: ./vidcompute.yaml."
)
_DATA_DIR = click.option("--data-dir", type=click.Path(path_type=Path, file_okay=False))


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--preset", type=click.Choice(["fast", "balanced", "quality"]), default="balanced", show_default=True)
@click.option("--height", "heights", type=int, multiple=True, metavar="PX", help="Repeatable.")
@click.option("--codec", type=click.Choice(["h264", "hevc", "av1", "vp9"]), default="h264", show_default=True)
@click.option("--llm/--no-llm", "enable_llm", default=True)
def explain(file: Path, *, preset: str, heights: tuple[int, ...], codec: str, enable_llm: bool) -> None:
    """Print the exact ffmpeg command for a file, one reason per flag. Runs nothing."""
    from vidcompute import app  # noqa: PLC0415 - heavy; only where it is needed
    from vidcompute.domain.job import Codec, JobSpec, OutputSpec, Preset  # noqa: PLC0415 - as above

    spec = JobSpec(
        input=file.absolute().as_uri(),
        preset=Preset(preset),
        codec=Codec(codec),
        outputs=tuple(OutputSpec(height) for height in heights),
        enable_llm=enable_llm,
    )
    click.echo(app.explain(file, spec))


def _quietly(path: Path | None, data_dir: Path | None) -> Config:
    """The configuration, with the service's log lines kept out of a command's answer."""
    from vidcompute.config import load  # noqa: PLC0415 - pydantic is slow to load
    from vidcompute.monitor import setup_logging  # noqa: PLC0415 - structlog, likewise

    setup_logging("error")
    return load(path=path, overrides={"data_dir": data_dir})


@click.command()
@_CONFIG
@_DATA_DIR
@click.option("--json", "as_json", is_flag=True)
def doctor(*, path: Path | None, data_dir: Path | None, as_json: bool) -> int:
    """Check this machine; each problem comes with its cure. Exits 1 if anything is wrong."""
    from vidcompute import app  # noqa: PLC0415 - heavy; only where it is needed

    checks = app.doctor_checks(_quietly(path, data_dir))
    if as_json:
        output.print_json([{"name": c.name, "ok": c.ok, "detail": c.detail, "fix": c.fix} for c in checks])
    else:
        table = output.plain_table("", "check", "")
        for check in checks:
            sign = "[green]✔[/green] ok" if check.ok else "[red]✖ problem[/red]"
            table.add_row(sign, check.name, check.detail if check.ok else f"{check.detail}\n→ {check.fix}")
        output.out().print(table)
    return Exit.OK if all(check.ok for check in checks) else Exit.ERROR


@click.command()
@_CONFIG
@_DATA_DIR
def migrate(*, path: Path | None, data_dir: Path | None) -> None:
    """Bring the database schema up to date; `serve` does this by itself with the embedded database."""
    from vidcompute import app  # noqa: PLC0415 - heavy; only where it is needed

    applied = asyncio.run(app.migrate(_quietly(path, data_dir)))
    for name in applied:
        click.echo(name)
    if not applied:
        output.err().print("nothing to do: the schema is up to date")


@click.command()
@_CONFIG
@_DATA_DIR
@click.option("--json", "as_json", is_flag=True)
def config(*, path: Path | None, data_dir: Path | None, as_json: bool) -> None:
    """Print the effective configuration (file, environment and defaults), secrets masked."""
    from vidcompute import config as settings  # noqa: PLC0415 - pydantic is slow to load
    from vidcompute.monitor import mask  # noqa: PLC0415 - as above

    effective: dict[str, Any] = settings.load(path=path, overrides={"data_dir": data_dir}).model_dump(mode="json")
    shown = {name.upper(): mask(value, key=name) for name, value in effective.items()}
    if as_json:
        output.print_json(shown)
        return
    import yaml  # noqa: PLC0415 - only for this

    click.echo(yaml.safe_dump(shown, sort_keys=False, allow_unicode=True), nl=False)


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script for a shell; for bash: eval "$(vidctl completion bash)"."""
    from click.shell_completion import get_completion_class  # noqa: PLC0415 - only for this

    made = get_completion_class(shell)
    if made is None:
        raise CliError(f"no completion for {shell}")
    click.echo(made(context.find_root().command, {}, "vidctl", "_VIDCTL_COMPLETE").source())
