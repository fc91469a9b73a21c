"""`cdc check`: everything that would go wrong, with the fix for each."""

import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import click

from cdc.cli.screen import place, print_json, show
from cdc.model.config import ConnectorConfig
from cdc.model.errors import ConnectorFileError
from cdc.model.finding import Finding
from cdc.observe.logs import escape, redact
from cdc.processes.check import run_checks
from cdc.wiring.connector_file import load_all, problems
from cdc.wiring.loading import load_modules
from cdc.wiring.parts import Parts

_MARKS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "error": ("✗", "red")}


class _Report(NamedTuple):
    file: str
    connector: str
    findings: Sequence[Finding]
    error: ConnectorFileError | None = None


@click.command()
@click.argument("files", metavar="FILE…", nargs=-1, required=True)
@click.option("--offline", is_flag=True, help="only the files, no server")
@click.option("--json", "as_json", is_flag=True, help="one JSON document on stdout")
@click.pass_context
def check(ctx: click.Context, files: tuple[str, ...], offline: bool, as_json: bool) -> None:
    """Validates connector files, then looks at the source, the queue, Redis and the targets.

    Exit status: 0 fine (warnings at most), 1 findings, 2 a bad file.
    """
    reports = [_Report(error.file, "", [_of_file(error)], error) for error in problems(files)]
    status = 2 if reports else 0
    if not reports:
        reports = [_report(file, config, offline) for file, config in zip(files, load_all(files), strict=True)]
        status = int(any(finding.level == "error" for report in reports for finding in report.findings))
    if as_json:
        print_json(_document(reports, status))
    else:
        _print(reports, status)
    ctx.exit(status)


def _of_file(error: ConnectorFileError) -> Finding:
    return Finding("error", "file", f"{place(error)} {error.message}", error.hint, "file")


def _report(file: str, config: ConnectorConfig, offline: bool) -> _Report:
    valid = Finding("ok", "file", f"{file} is valid", part="file")
    if offline:
        return _Report(file, config.name, [valid])
    load_modules(config)
    with Parts(config) as parts:
        return _Report(file, config.name, [valid, *run_checks(parts)])


def _document(reports: Sequence[_Report], status: int) -> dict[str, Any]:
    return {
        "result": ("fine", "findings", "bad file")[status],
        "connectors": [
            {
                "file": report.file,
                "connector": report.connector or None,
                **({"line": report.error.line, "key": report.error.key} if report.error else {}),
                "findings": [
                    {
                        "part": f.part,
                        "level": f.level,
                        "subject": f.subject,
                        "text": redact(f.text),
                        "fix": redact(f.fix),
                    }
                    for f in report.findings
                ],
            }
            for report in reports
        ],
    }


def _print(reports: Sequence[_Report], status: int) -> None:
    """What is fine comes first and what is not last, where the eye is when the prompt comes back."""
    from rich.text import Text  # noqa: PLC0415

    for report in reports:
        if report.connector:
            show(Text(report.connector, style="bold"))
        fine = [finding for finding in report.findings if finding.level == "ok"]
        _print_fine(fine)
        _print_others([finding for finding in report.findings if finding.level != "ok"])
    show(Text(_summary(reports, status), style="bold" if status else "bold green"))


def _print_fine(findings: Sequence[Finding]) -> None:
    """On a terminal a paragraph for each part, so that the rest fits the screen; a pipe gets a line for each."""
    from rich.text import Text  # noqa: PLC0415

    for part, group in _by_part(findings):
        if sys.stdout.isatty():
            drawn = Text("✓ ", style="green").append(_clean(part), "bold")
            for finding in group:
                drawn.append(f" · {_clean(finding.subject)}", "green").append(f" {_clean(finding.text)}", "default")
            show(drawn)
        else:
            for finding in group:
                show(Text(f"✓ {_clean(part)}: {_clean(finding.subject)} {_clean(finding.text)}"))


def _print_others(findings: Sequence[Finding]) -> None:
    """By part, its errors last."""
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    terminal = sys.stdout.isatty()
    for part, group in _by_part(findings):
        show(Text(_clean(part), style="bold"))
        drawn = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1, 0, 0))
        for column in ("mark", "subject"):
            drawn.add_column(column, no_wrap=True)
        drawn.add_column("text", overflow="fold")
        for finding in sorted(group, key=lambda finding: list(_MARKS).index(finding.level)):
            mark, colour = _MARKS[finding.level]
            text = Text(_clean(finding.text))
            if finding.fix:
                text.append("\n→ " if terminal else " → ").append(_clean(finding.fix), style="cyan")
            drawn.add_row(Text(mark, style=f"bold {colour}"), Text(_clean(finding.subject), style=colour), text)
        show(drawn)


def _by_part(findings: Sequence[Finding]) -> Sequence[tuple[str, Sequence[Finding]]]:
    """In the order in which the parts come first."""
    parts: dict[str, list[Finding]] = {}
    for finding in findings:
        parts.setdefault(finding.part, []).append(finding)
    return [*parts.items()]


def _clean(text: str) -> str:
    return escape(redact(text))


def _summary(reports: Sequence[_Report], status: int) -> str:
    levels = [finding.level for report in reports for finding in report.findings]
    errors, warnings = levels.count("error"), levels.count("warning")
    counted = f"{errors} error{'s' * (errors != 1)}, {warnings} warning{'s' * (warnings != 1)}"
    return f"{('fine', 'not ready', 'bad file')[status]}: {counted}"
