"""The command `cdc`: help, exit statuses, and how errors leave."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import click
import pytest

from cdc import __version__
from cdc.cli import main as cli
from cdc.cli.main import COMMANDS, run
from cdc.model.errors import Gap, SourceUnavailable, UsageError


def fails(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Makes `cdc status` raise `error`."""

    @click.command()
    def status() -> None:
        raise error

    monkeypatch.setitem(COMMANDS, "status", COMMANDS["status"]._replace(place=f"{__name__}:broken"))
    monkeypatch.setitem(globals(), "broken", status)


def test_help_names_every_command_and_imports_none() -> None:
    probe = (
        "import sys; from cdc.cli.main import run; assert run(['--help']) == 0; print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    for name in COMMANDS:
        assert f"\n  {name} " in done.stdout
    loaded = set(done.stderr.split())
    assert not loaded & {"pydantic", "rich", "pymysql", "redis", "psycopg", "confluent_kafka", "sqlalchemy"}


CONNECTOR = """
name: shop
source: {url: "mysql://a:b@127.0.0.1", server_id: 5401, tables: [shop.*], start: latest}
queue: {url: "QUEUE", lanes: 2}
sink: {url: "TARGET"}
coordination: {url: "redis://127.0.0.1"}
"""
PARTS = {
    "reader": "made = build.reader(parts, metrics=Metrics().reader('shop'), health=Health())",
    "sink": "build.sink_worker(parts, 'sink', metrics=Metrics().sink('shop', 'sink'), health=Health())",
    "run": "",
}
DRIVERS = {"psycopg", "confluent_kafka", "sqlalchemy", "redis", "pymysql", "prometheus_client", "rich", "sqlglot"}


@pytest.mark.parametrize(
    ("command", "queue", "target", "loaded"),
    [
        ("reader", "redis://127.0.0.1", "sqlite:////x", {"redis", "pymysql", "prometheus_client"}),
        ("reader", "redis://127.0.0.1", "mysql://a:b@h/x", {"redis", "pymysql", "prometheus_client"}),
        ("reader", "redis://127.0.0.1", "postgresql://h/x", {"redis", "pymysql", "prometheus_client", "psycopg"}),
        ("reader", "kafka://h", "sqlite:////x", {"redis", "pymysql", "prometheus_client", "confluent_kafka"}),
        ("sink", "redis://127.0.0.1", "sqlite:////x", {"redis", "prometheus_client"}),
        ("sink", "redis://127.0.0.1", "postgresql://h/x", {"redis", "prometheus_client", "psycopg"}),
        ("run", "kafka://h", "postgresql://h/x", set()),
    ],
)
def test_a_process_loads_what_it_uses(command: str, queue: str, target: str, loaded: set[str], tmp_path: Path) -> None:
    """SQLAlchemy comes with the first lane that a sink takes, and to no reader."""
    file = tmp_path / "shop.yaml"
    file.write_text(CONNECTOR.replace("QUEUE", queue).replace("TARGET", target))
    making = PARTS[command]
    probe = f"""
import sys
import cdc.cli.main, cdc.cli.run
from cdc.wiring import build
from cdc.wiring.connector_file import load
from cdc.wiring.parts import Parts
parts = Parts(load({str(file)!r}))
if {making!r}:
    from cdc.observe.health import Health
    from cdc.observe.metrics import Metrics
    {making}
print(*sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    modules = set(done.stdout.split())
    assert modules & DRIVERS == loaded
    other = {"reader": "cdc.processes.sink", "sink": "cdc.processes.reader", "run": "cdc.processes.sink"}
    assert other[command] not in modules


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_exists_and_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    module, _, attribute = COMMANDS[name].place.partition(":")
    assert isinstance(getattr(import_module(module), attribute), click.Command)
    assert run([name, "--help"]) == 0
    assert f"Usage: cdc {name}" in capsys.readouterr().out


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert __version__ in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["check"], ["check", "--nonsense", "x"], ["--log-level", "loud", "status"]]
)
def test_a_wrong_command_line_is_exit_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 2
    assert "Usage: cdc" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (SourceUnavailable("db does not answer", hint="start it"), 1),
        (Gap("messages 5-7 are missing", hint="replay"), 1),
        (UsageError("no such position", hint="look at the files"), 2),
    ],
)
def test_an_error_is_one_message_with_its_hint_and_its_exit_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: UsageError, status: int
) -> None:
    fails(monkeypatch, error)
    assert run(["status"]) == status
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == f"error: {error.message}\n  {error.hint}\n"


def test_an_error_shows_no_secret_and_no_control_character(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fails(monkeypatch, Gap("at mysql://u:canary@h \x1b[31m [red]x[/red]", hint="or\nnot"))
    run(["status"])
    assert capsys.readouterr().err == "error: at mysql://u:***@h \\x1b[31m [red]x[/red]\n  or\\nnot\n"


def test_what_nobody_expected_is_one_line_without_its_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fails(monkeypatch, RuntimeError("canary"))
    assert run(["status"]) == 70
    said = capsys.readouterr().err
    assert "fault in Lockstep itself: RuntimeError at test_cli_main.py:" in said
    assert "canary" not in said
    assert "Traceback" not in said


def test_debug_shows_the_traceback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    fails(monkeypatch, RuntimeError("at mysql://u:canary@h"))
    assert run(["--log-level", "debug", "status"]) == 70
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert "canary" not in said


def test_ctrl_c_is_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    fails(monkeypatch, KeyboardInterrupt())
    assert run(["status"]) == 130
    assert capsys.readouterr().err.strip() == ""


def test_a_missing_driver_is_named_and_breaks_no_other_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "needs_more.py").write_text("import a_driver_that_nobody_has\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(COMMANDS, "tail", COMMANDS["tail"]._replace(place="needs_more:tail"))
    assert run(["tail", "x"]) == 1
    assert "`cdc tail` needs a_driver_that_nobody_has, which is not installed" in capsys.readouterr().err
    assert run(["check", "--help"]) == 0


def test_a_reader_of_our_output_who_has_enough_is_no_error(tmp_path: Path) -> None:
    command = f"{sys.executable} -m cdc.cli.main --help | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"
    assert done.stderr == ""


def test_colours_need_a_terminal_and_consent(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal:
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert cli.print_error is not None
    from cdc.cli.screen import coloured

    assert coloured(Terminal())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not coloured(Terminal())
