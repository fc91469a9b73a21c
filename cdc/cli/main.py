"""The command `cdc`: one table of commands, each imported when it is asked for, and one way for errors to leave."""

import os
import signal
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NamedTuple, NoReturn

import click

from cdc import __version__
from cdc.cli.screen import LogOptions, print_error, say_error, stdout_is_gone
from cdc.model.errors import CdcError, FatalError, MissingExtra
from cdc.observe.logs import configure, redact

# pydantic looks for plugins in the metadata of every installed package, and runs what it finds; ours needs none.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

_INTERRUPTED = 130  # 128 + SIGINT, as shells count (POSIX, "Exit Status and Errors")
_BROKEN = 70  # EX_SOFTWARE of sysexits.h


class _Command(NamedTuple):
    place: str
    help: str


# Name → where the click command lives, and its line in `cdc --help`, which imports none of them.
COMMANDS: dict[str, _Command] = {
    "check": _Command("cdc.cli.check:check", "look for what would go wrong: file, source, queue, Redis, targets"),
    "run": _Command("cdc.cli.run:run", "reader and sinks of one or more connectors under one supervisor"),
    "reader": _Command("cdc.cli.run:reader", "one reader; a second one waits as a hot standby"),
    "sink": _Command("cdc.cli.run:sink", "sink workers, on any number of machines"),
    "replay": _Command("cdc.cli.replay:replay", "apply the stream again from a position on"),
    "snapshot": _Command("cdc.cli.snapshot:snapshot", "copy tables while the stream runs on"),
    "verify": _Command("cdc.cli.verify:verify", "compare both sides while they run"),
    "status": _Command("cdc.cli.status:status", "checkpoint, lag, lanes with owner and token, dead letters"),
    "tail": _Command("cdc.cli.tail:tail", "change events; who changed a row; SQL that undoes it"),
    "dlq": _Command("cdc.cli.dlq:dlq", "dead letters: list, show, retry, drop"),
    "local": _Command("cdc.cli.local:local", "private servers for a try-out, without root"),
    "demo": _Command("cdc.cli.demo:demo", "the main job, start to end, on a machine that has nothing yet"),
}


class _Lazy(click.Group):
    """A group whose commands are in COMMANDS."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        known = COMMANDS.get(cmd_name)
        return None if known is None else _imported(cmd_name, known)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.help) for name, command in COMMANDS.items()])


def _imported(name: str, command: _Command) -> click.Command:
    module, _, attribute = command.place.partition(":")
    try:
        found: click.Command = getattr(import_module(module), attribute)
    except ModuleNotFoundError as error:
        missing = error.name or "a module"
        if missing.partition(".")[0] == "cdc":
            raise FatalError(
                f"`cdc {name}` is not part of this installation ({missing} is missing)",
                hint="install lockstep-cdc again, whole",
            ) from error
        raise MissingExtra(
            f"`cdc {name}` needs {missing}, which is not installed", hint="pip install 'lockstep-cdc[all]'"
        ) from error
    return found


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, "--version", prog_name="cdc")
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
    help="what is said on stderr; debug shows tracebacks",
)
@click.option("--log-format", type=click.Choice(["plain", "json"]), default="plain", show_default=True)
@click.pass_context
def cdc(ctx: click.Context, log_level: Any, log_format: Any) -> None:
    """Lockstep keeps two systems in step: MySQL or MariaDB on one side, PostgreSQL, MySQL or SQLite on the other."""
    ctx.obj = LogOptions(log_level, log_format)
    configure(log_level, log_format, ctx.invoked_subcommand or "cdc")


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """The entry point: every way out is an exit status, and one message on stderr where it is not 0 by design."""
    status = run(list(sys.argv[1:] if arguments is None else arguments))
    if callable(signal.getsignal(signal.SIGTERM)):
        # Python puts handlers back to the default while it ends: a second SIGTERM would then turn a clean end into -15.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(status)


def run(arguments: list[str]) -> int:
    try:
        result = cdc.main(arguments, prog_name="cdc", standalone_mode=False)
    except (click.exceptions.Abort, KeyboardInterrupt):
        return _INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except CdcError as error:
        print_error(error)
        _traceback(arguments)
        return error.exit_status
    except (SystemExit, BrokenPipeError) as left:  # click makes the former of the latter
        return _without_reader(left)
    except Exception as error:  # noqa: BLE001 - the last line of defence: people get a line, not a traceback
        return _unexpected(error, arguments)
    return result if isinstance(result, int) else 0


def _unexpected(error: Exception, arguments: Sequence[str]) -> int:
    """Without the error's own words: nobody knows what a driver puts there."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{frame.filename.rpartition('/')[2]}:{frame.lineno}"
    say_error(
        f"this is a fault in Lockstep itself: {type(error).__name__} at {place} (version {__version__})",
        "please report it with what `cdc --log-level debug …` shows; look through that for private data first",
    )
    _traceback(arguments)
    return _BROKEN


def _traceback(arguments: Sequence[str]) -> None:
    joined = " ".join(arguments)
    if "--log-level debug" in joined or "--log-level=debug" in joined:
        click.echo(redact(traceback.format_exc()), err=True)


def _without_reader(left: SystemExit | BrokenPipeError) -> int:
    """Who read our output has enough (`cdc status | head -1`): not an error, and Python must not flush into it at its end."""
    if stdout_is_gone():
        sys.stdout = open("/dev/null", "w")  # noqa: SIM115, PTH123
        return 0
    return left.code if isinstance(left, SystemExit) and isinstance(left.code, int) else 1


if __name__ == "__main__":
    main()
