"""`vidctl`: the entry, and the one table from errors to exit codes.

Commands are imported when they are called: `vidctl --help` must answer before anybody wonders.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

import click
from typing_extensions import override

from vidcompute.cli.state import CliError, Exit, State
from vidcompute.errors import Unavailable, VidcomputeError

#: name → (module, one line of help). The attribute is the name with dashes as underscores.
COMMANDS: dict[str, tuple[str, str]] = {
    "serve": ("serve", "Start the service: API, worker and maintenance in one process."),
    "demo": ("demo", "Run the main job on the bundled clip, verify the result, and show it."),
    "submit": ("submit", "Submit a file, a URL, or - for standard input."),
    "status": ("look", "Show one job, or the service."),
    "ls": ("look", "List jobs."),
    "watch": ("follow", "Follow a job until it is over."),
    "logs": ("follow", "Print a job's log."),
    "frames": ("frames", "Print what was seen, frame by frame."),
    "search": ("search", "Find the moment."),
    "download": ("download", "Fetch the files of a job's result."),
    "cancel": ("manage", "Stop jobs."),
    "retry": ("manage", "Try failed or canceled jobs again."),
    "rm": ("manage", "Forget jobs and delete their files."),
    "dead": ("manage", "List the jobs that gave up, or requeue them."),
    "explain": ("house", "Print the exact ffmpeg command for a file."),
    "doctor": ("house", "Check this machine; each problem comes with its cure."),
    "migrate": ("house", "Bring the database schema up to date."),
    "config": ("house", "Print the effective configuration, secrets masked."),
    "completion": ("house", "Print the completion script for a shell."),
}


class LazyGroup(click.Group):
    """Knows its commands by name and imports each when it is used."""

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of the table: what a newcomer needs comes first."""
        return list(COMMANDS)

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"vidcompute.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name)
        return command

    @override
    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with its "Did you mean" fed from the table."""
        name = click.utils.make_str(args[0])
        if name not in COMMANDS and not name.startswith("-") and not ctx.resilient_parsing:
            raise click.exceptions.NoSuchCommand(name, possibilities=list(COMMANDS), ctx=ctx)
        return super().resolve_command(ctx, args)

    @override
    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table, without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--server",
    envvar="VIDCOMPUTE_SERVER",
    default="http://127.0.0.1:8080",
    show_default=True,
    metavar="URL",
    help="The service to talk to; also VIDCOMPUTE_SERVER.",
)
@click.version_option(package_name="vidcompute", prog_name="vidctl")
@click.pass_context
def cli(context: click.Context, server: str) -> None:
    """Video in; adaptive streams and searchable frames out.

    Data goes to standard output, talk to standard error. Exit codes: 0 ok, 1 error, 2 usage, 3 job failed,
    4 not found, 5 refused, 6 unreachable, 7 timeout, 130 interrupted.
    """
    # Tests hand in a State with a transport of their own.
    if context.obj is None:
        context.obj = State(server=server)


def run(arguments: Sequence[str], *, state: State | None = None) -> int:
    """Run `vidctl` with `arguments`; the exit code. Everything expected is one line and a hint on standard error."""
    try:
        result = cli.main(list(arguments), prog_name="vidctl", standalone_mode=False, obj=state)
    except click.exceptions.Abort:
        return _say("interrupted", code=Exit.INTERRUPTED)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except CliError as error:
        return _say(error.message, hint=error.hint, code=error.code)
    except VidcomputeError as error:
        code = Exit.UNREACHABLE if isinstance(error, Unavailable) else Exit.ERROR
        return _say(f"{error.title}: {error.detail}", hint=error.hint, code=code)
    except KeyboardInterrupt:
        return _say("interrupted", code=Exit.INTERRUPTED)
    except BrokenPipeError:
        # The reader (`head`) has what it wanted. Closing stderr keeps the interpreter from complaining at exit.
        sys.stderr.close()
        return Exit.OK
    return int(result) if isinstance(result, int) else Exit.OK


def _say(message: str, *, code: Exit, hint: str = "") -> int:
    click.secho(f"vidctl: {message}", err=True, fg="red" if code is not Exit.INTERRUPTED else None)
    if hint:
        click.echo(f"  → {hint}", err=True)
    return code


def main() -> None:
    """Console entry."""
    sys.exit(run(sys.argv[1:]))
