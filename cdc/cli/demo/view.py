"""What the demo shows while it runs: a live table on a terminal, a line every two seconds elsewhere."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType

import orjson
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from cdc.cli.demo.workload import Shop
from cdc.coordination.port import Holder
from cdc.observe.latency import LatencyWindow
from cdc.wiring.parts import Parts

_LINE_SECONDS = 2.0


@dataclass
class Latencies:
    """The windows of all holders that each lane ever had: a killed one's last word counts too."""

    windows: dict[tuple[str, int], LatencyWindow] = field(default_factory=dict)

    def update(self, marks: dict[str, str]) -> None:
        for lane, text in marks.items():
            mark = orjson.loads(text)
            self.windows[lane, mark["token"]] = LatencyWindow(mark["latency"])

    def all(self) -> LatencyWindow:
        return LatencyWindow().merge(self.windows.values())


class View:
    """A context manager; `refresh` asks the pipeline and draws."""

    def __init__(self, console: Console, parts: Parts, sink: str, shop: Shop, names: Mapping[int, str]) -> None:
        self._console = console
        self._parts = parts
        self._sink = sink
        self._shop = shop
        self._names = names
        self._live = Live(console=console, refresh_per_second=5, transient=True) if console.is_terminal else None
        self._began = time.monotonic()
        self._before = (self._began, 0)
        self._rate = 0.0
        self._next_line = 0.0
        self.latencies = Latencies()
        self.owners: dict[str, Holder] = {}
        self.applied = 0
        self.marked = False
        self.note = ""

    def __enter__(self) -> "View":
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def name(self, held: Holder) -> str:
        """The process that holds a lane, by the name that the demo gave it."""
        pid = int(held.owner.split(":")[1])
        return self._names.get(pid, held.owner)

    def say(self, text: str) -> None:
        """A line that stays."""
        self._console.print(text)

    def refresh(self) -> None:
        progress = self._parts.target(self._sink).progress()
        counted = sum(row.count for row in progress.values())
        # The creation of each of the shop's tables stands at the head of every lane, and is counted there.
        self.applied = max(0, counted - len(progress) * Shop.TABLES)
        prefix = f"{self._sink}/"
        holders = self._parts.coordination.holders()
        self.owners = {name.removeprefix(prefix): held for name, held in holders.items() if name.startswith(prefix)}
        marks = self._parts.coordination.marks()
        mine = {lane.removeprefix(prefix): text for lane, text in marks.items() if lane.startswith(prefix)}
        self.latencies.update(mine)
        # The workers' last marks, which carry the latencies, come a second after their last commit.
        self.marked = sum(orjson.loads(text)["count"] for text in mine.values()) == counted
        self._measure()
        if self._live is not None:
            counts = {lane: row.count for lane, row in progress.items()}
            self._live.update(Group(Text(self._line()), self._table(counts), Text(self.note)))
        elif time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + _LINE_SECONDS
            self._console.print(self._line() + "; lanes " + self._lanes())

    def _measure(self) -> None:
        now = time.monotonic()
        then, applied = self._before
        if now - then >= 1.0:
            self._rate = (self.applied - applied) / (now - then)
            self._before = (now, self.applied)

    def _line(self) -> str:
        p50 = self.latencies.all().quantile(0.5)
        lag = "–" if p50 is None else f"{p50 * 1000:.0f} ms"
        return (
            f"{time.monotonic() - self._began:4.0f} s  source: {self._shop.transactions} transactions, "
            f"{self._shop.events} events; applied {self.applied}, {self._rate:.0f} rows/s, "
            f"behind {max(0, self._shop.events - self.applied)}, median lag {lag}"
        )

    def _lanes(self) -> str:
        return ", ".join(f"{lane}: {self.name(held)} token {held.token}" for lane, held in sorted(self.owners.items()))

    def _table(self, counts: dict[str, int]) -> Table:
        table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
        for heading in ("lane", "owner", "token", "events applied"):
            table.add_column(heading, justify="left" if heading in {"lane", "owner"} else "right")
        for lane in sorted(counts):
            held = self.owners.get(lane)
            owner = Text(self.name(held), "green") if held else Text("nobody", "red")
            table.add_row(lane, owner, str(held.token) if held else "", str(counts[lane]))
        return table
