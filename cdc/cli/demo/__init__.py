"""`cdc demo`: the main job on real servers, start to end, on a machine that has nothing yet.

MySQL → Redis Streams → PostgreSQL, with one sink killed halfway, and both sides compared at the end.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import click
import psycopg
import pymysql
from rich.console import Console
from rich.table import Table

from cdc.cli.demo.compare import Compared, compare
from cdc.cli.demo.view import View
from cdc.cli.demo.workload import Shop
from cdc.cli.screen import console
from cdc.local import Stack, start_stack
from cdc.local.progress import shown
from cdc.model.errors import FatalError
from cdc.wiring import build
from cdc.wiring.connector_file import load
from cdc.wiring.parts import Parts

_SINK = "sink"
_DRAIN_SECONDS = 60
_CONNECTOR = """\
name: demo
source:
  url: {source}
  server_id: 5401
  tables: [shop.*]
  start: earliest
queue:
  url: {queue}
  lanes: 4
sink:
  url: {target}
coordination:
  url: {queue}
  lease_seconds: 3
"""


@click.command()
@click.option("--seconds", type=click.IntRange(5, 3600), default=20, show_default=True, help="how long the shop works")
@click.option(
    "--rate", type=click.IntRange(1, 5000), default=300, show_default=True, help="transactions a second, at most"
)
@click.option("--keep", is_flag=True, help="keep the folder with the connector file and the logs")
@click.pass_context
def demo(ctx: click.Context, seconds: int, rate: int, keep: bool) -> None:
    """Starts private servers and shows the whole pipeline at work; exit status 0 when both sides are equal."""
    out = console()
    folder = Path(tempfile.mkdtemp(prefix="lockstep-demo-"))
    try:
        out.print("starting private servers (the first time they are downloaded)")
        with shown() as progress:
            stack = start_stack(["mysql", "redis", "postgresql"], folder / "servers", progress=progress)
        with stack:
            for server in stack:
                out.print(f"  {server.kind} {server.version}: {server.how}")
            equal = _Demo(out, stack, folder).run(seconds, rate)
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
    if keep:
        out.print(f"connector file and logs: {folder}")
    ctx.exit(0 if equal else 1)


class _Demo:
    def __init__(self, out: Console, stack: Stack, folder: Path) -> None:
        self._out = out
        self._stack = stack
        self._folder = folder
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def run(self, seconds: int, rate: int) -> bool:
        """Whether both sides are equal at the end."""
        file = self._connector()
        source = _mysql(self._stack["mysql"].url)
        Shop.create(source)
        shop = Shop(source, rate)
        try:
            with Parts(load(file)) as parts:
                for name in ("reader", "sink-1", "sink-2"):
                    self._start(name, file)
                names = {child.pid: name for name, child in self._children.items()}
                with View(self._out, parts, _SINK, shop, names) as view:
                    self._until_lanes_are_taken(view)
                    shop.start()
                    self._work(view, seconds)
                    shop.finish()
                    view.say("the shop has closed; waiting until the last row is applied")
                    self._drain(parts, view)
        finally:
            self._stop()
        return self._report(shop, view, compare(source, self._target(), source_db="shop"))

    def _connector(self) -> Path:
        file = self._folder / "demo.yaml"
        urls = {"source": "mysql", "queue": "redis", "target": "postgresql"}
        file.write_text(_CONNECTOR.format(**{key: self._stack[kind].url for key, kind in urls.items()}))
        file.chmod(0o600)
        return file

    def _start(self, name: str, file: Path) -> None:
        command = "reader" if name == "reader" else "sink"
        with (self._folder / f"{name}.log").open("wb") as log:
            self._children[name] = subprocess.Popen(
                [sys.executable, "-m", "cdc", command, str(file), "--supervised"], stdin=subprocess.PIPE, stderr=log
            )

    def _until_lanes_are_taken(self, view: View) -> None:
        deadline = time.monotonic() + 30
        while len(view.owners) < 4 or len(set(map(view.name, view.owners.values()))) < 2:
            self._look_after_children()
            if time.monotonic() > deadline:
                raise FatalError("the sinks did not take their lanes in 30 s", hint="run `cdc --log-level debug demo`")
            view.refresh()
            time.sleep(0.2)

    def _work(self, view: View, seconds: int) -> None:
        began = time.monotonic()
        killed = False
        before: dict[str, int] = {}
        while (passed := time.monotonic() - began) < seconds:
            view.refresh()
            if not killed and passed >= seconds / 2:
                killed = True
                before = {lane: held.token for lane, held in view.owners.items()}
                self._children["sink-1"].kill()
                view.note = "sink-1 was killed (SIGKILL)"
                view.say("halfway: sink-1 is killed (SIGKILL)")
            elif before:
                before = self._taken_over(view, before)
            self._look_after_children(dead="sink-1" if killed else "")
            time.sleep(0.2)

    def _taken_over(self, view: View, before: dict[str, int]) -> dict[str, int]:
        """Says it once, when every lane is held again and some by a higher token."""
        risen = [lane for lane, token in before.items() if lane in view.owners and view.owners[lane].token > token]
        lone = set(map(view.name, view.owners.values())) == {"sink-2"}
        if not risen or not lone or len(view.owners) < len(before):
            return before
        tokens = ", ".join(f"lane {lane}: {before[lane]} → {view.owners[lane].token}" for lane in sorted(risen))
        view.note = f"sink-2 has all lanes ({tokens})"
        view.say(f"sink-2 has taken over its lanes with higher tokens ({tokens})")
        return {}

    def _drain(self, parts: Parts, view: View) -> None:
        drain = build.drain(parts)
        deadline = time.monotonic() + _DRAIN_SECONDS
        while not (drain.behind().in_step and view.marked):
            self._look_after_children(dead="sink-1")
            if time.monotonic() > deadline:
                raise FatalError(
                    f"not in step after {_DRAIN_SECONDS} s", hint="run it again with --keep and read the logs"
                )
            view.refresh()
            time.sleep(0.1)

    def _look_after_children(self, dead: str = "") -> None:
        for name, child in self._children.items():
            if name != dead and child.poll() is not None:
                log = (self._folder / f"{name}.log").read_text(errors="replace").strip().splitlines()
                raise FatalError(
                    f"the {name} ended: {log[-1] if log else 'it said nothing'}", hint="run it with --keep"
                )

    def _stop(self) -> None:
        for child in self._children.values():
            child.terminate()
        for child in self._children.values():
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            if child.stdin is not None:
                child.stdin.close()

    def _target(self) -> Any:
        return psycopg.connect(self._stack["postgresql"].url)

    def _report(self, shop: Shop, view: View, found: list[Compared]) -> bool:
        table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
        for heading in ("table", "rows at the source", "rows at the target", "different"):
            table.add_column(heading, justify="left" if heading == "table" else "right")
        for one in found:
            table.add_row(one.table, str(one.source_rows), str(one.target_rows), str(one.different))
        self._out.print(table)
        changes = ", ".join(f"{count} {kind}s" for kind, count in sorted(shop.changes.items()))
        self._out.print(f"{shop.transactions} transactions: {changes}; {shop.events} events, {view.applied} applied")
        latency = view.latencies.all()
        p50, p99 = latency.quantile(0.5), latency.quantile(0.99)
        if p50 is not None and p99 is not None:
            self._out.print(f"from commit to applied: p50 {p50 * 1000:.1f} ms, p99 {p99 * 1000:.1f} ms")
        equal = all(one.equal for one in found) and view.applied == shop.events
        self._out.print("both sides are equal" if equal else "THE TWO SIDES DIFFER", style="green" if equal else "red")
        return equal


def _mysql(url: str) -> Any:
    parts = urlsplit(url)
    return pymysql.connect(
        host=parts.hostname or "",
        port=parts.port or 3306,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        charset="utf8mb4",
        init_command="SET time_zone = '+00:00'",
    )
