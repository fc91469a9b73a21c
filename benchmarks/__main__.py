"""`python -m benchmarks [PART…] [--quick]`: what docs/benchmarks.md describes."""

import argparse
import json
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from benchmarks import apply, capture, end_to_end, first_copy, growth, latency, must_reach, plots, tables
from benchmarks.capture import Peers
from benchmarks.capture_queues import Setting
from benchmarks.children.report import NotRun
from benchmarks.results import Figure, Report
from benchmarks.run import Say
from benchmarks.servers import start
from benchmarks.sizes import QUICK, Sizes
from benchmarks.versions import of as versions_of
from cdc.local import Server
from cdc.local.progress import shown
from cdc.model.errors import LocalServerError

PARTS = ("capture", "apply", "end-to-end", "first-copy", "growth")
_NEEDS = {
    "capture": ("mysql", "redis", "kafka"),
    "apply": ("mysql", "redis", "postgresql"),
    "end-to-end": ("mysql", "redis", "kafka", "postgresql"),
    "first-copy": ("mysql", "redis", "postgresql"),
    "growth": ("mysql",),
}
RESULTS = Path(__file__).parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measurements: see docs/benchmarks.md.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; default: all")
    parser.add_argument("--quick", action="store_true", help="little of everything, to see that it works")
    parser.add_argument("--rounds", type=int, help="how often each has its turn")
    parser.add_argument("--out", type=Path, help="folder for JSON and plots (default: benchmarks/results)")
    chosen = parser.parse_args()
    parts = chosen.parts or list(PARTS)
    if unknown := [part for part in parts if part not in PARTS]:
        parser.error(f"there is no part {unknown[0]}: one of {', '.join(PARTS)}")
    sizes = QUICK if chosen.quick else Sizes()
    if chosen.rounds:
        sizes = replace(sizes, rounds=chosen.rounds)
    # Tables in a file need not fit a small terminal.
    console = Console() if sys.stdout.isatty() else Console(width=150)
    report = Report(chosen.quick, parts)
    # Ended by a signal, it still removes its servers and folders.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    with tempfile.TemporaryDirectory(prefix="lockstep-bench-") as folder:
        _measure(report, sizes, Path(folder), console)
    tables.show(console, report)
    found = must_reach.lines(report)
    console.print(must_reach.table(found))
    # What --quick finds is no result.
    out = chosen.out or (Path(tempfile.gettempdir()) / "lockstep-bench-quick" if chosen.quick else RESULTS)
    _keep(report, found, out, console)


def _measure(report: Report, sizes: Sizes, folder: Path, console: Console) -> None:
    began = time.monotonic()

    def say(text: str) -> None:
        console.print(f"[dim]{time.monotonic() - began:6.0f} s  {text}[/dim]", highlight=False)

    kinds = dict.fromkeys(kind for part in report.parts for kind in _NEEDS[part])
    servers: dict[str, Server] = {}
    with shown() as progress:
        for kind in kinds:
            try:
                stack = start([kind], folder / "servers", progress)
            except LocalServerError as error:
                say(f"{kind} cannot be had: {error}")
                continue
            servers[kind] = stack[kind]
    try:
        report.versions = versions_of(servers.values())
        console.print(", ".join(f"{name} {version}" for name, version in report.versions.items()), highlight=False)
        _parts(report, sizes, servers, folder, say)
    finally:
        for server in servers.values():
            server.remove()


def _parts(report: Report, sizes: Sizes, servers: dict[str, Server], folder: Path, say: Say) -> None:
    setting = Setting(servers["mysql"], servers.get("redis"), servers.get("kafka"), folder, sizes.timeout_seconds)
    peers = Peers(say)
    postgresql = servers.get("postgresql")
    decoder = capture.decoder_there()

    def flow() -> None:
        assert postgresql is not None
        report.sections.append(end_to_end.measure(setting, postgresql, peers, sizes, say))

    def times() -> None:
        assert postgresql is not None
        report.latencies += latency.measure(setting, postgresql, peers, sizes, decoder, say)

    def memory() -> None:
        assert postgresql is not None
        report.figures += end_to_end.huge(setting, postgresql, sizes, decoder, say)

    def applied() -> None:
        assert postgresql is not None
        report.sections += apply.measure(setting, postgresql, peers, sizes, say)

    def copied() -> None:
        assert postgresql is not None
        section, figures = first_copy.measure(setting, postgresql, sizes, decoder, say)
        report.sections.append(section)
        report.figures += figures

    steps: dict[str, tuple[Callable[[], None], ...]] = {
        "capture": (lambda: report.sections.extend(capture.measure(setting, peers, sizes, say)),),
        "apply": (applied,),
        "end-to-end": (flow, times, memory),
        "first-copy": (copied,),
        "growth": (lambda: report.curves.extend(growth.measure(setting, sizes, say)),),
    }
    for part in report.parts:
        for step in steps[part]:
            try:
                if missing := [kind for kind in _NEEDS[part] if kind not in servers and kind != "kafka"]:
                    raise NotRun(f"{', '.join(missing)} could not be started")
                step()
            except NotRun as error:
                # One that fails leaves the others their results.
                say(f"{part}: not run: {error}")
                report.figures.append(Figure(f"{part}.failed", part, None, "", str(error)))


def _keep(report: Report, found: list[must_reach.Line], out: Path, console: Console) -> None:
    out.mkdir(parents=True, exist_ok=True)
    document = {**report.to_json(), "must_reach": [line._asdict() for line in found]}
    file = out / "results.json"
    file.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    try:
        plots.draw(report, out)
    except ImportError:
        console.print(f"no plots: matplotlib is not installed ({plots.INSTALL})")
    console.print(f"results in {out}")


if __name__ == "__main__":
    main()
