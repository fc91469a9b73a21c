"""How cost grows: capture into nothing, by the best decoder there is, against one size at a time."""

from collections.abc import Callable

from benchmarks import binlogs
from benchmarks.binlogs import Binlog
from benchmarks.capture import decoder_there, lockstep_null
from benchmarks.capture_queues import LANES, Setting
from benchmarks.results import Curve, Point
from benchmarks.run import Contestant, Run, Say, interleaved
from benchmarks.sizes import Sizes


def measure(setting: Setting, sizes: Sizes, say: Say) -> list[Curve]:
    url, rows = setting.mysql.url, sizes.growth_rows
    say("growth: writing the binlogs")
    base = binlogs.bulk(url, rows, "grow_base", 1_000)
    decoder = decoder_there()

    def transaction(size: int) -> Binlog:
        if size <= 100:
            return binlogs.small(url, max(1, rows // size), f"grow_small_{size}", size)
        return binlogs.bulk(url, max(size, rows), f"grow_bulk_{size}", size)

    def curve(key: str, what: str, xs: tuple[int, ...], make: Callable[[int], Binlog], lanes: bool = False) -> Curve:
        say(f"growth with {what}: writing the binlogs")
        made = {str(x): (make(x), x if lanes else LANES) for x in xs}

        def one(binlog: Binlog, count: int) -> Callable[[], Run]:
            return lambda: lockstep_null(
                setting.mysql, binlog, binlog.rows, decoder, seconds=setting.seconds, lanes=count
            )

        contestants = [Contestant(name, one(*found)) for name, found in made.items()]
        outcomes = interleaved(contestants, sizes.rounds, lambda text: say(f"growth with {what}, {text}"))
        return Curve(f"growth.{key}", f"{what} ({decoder})", [Point(x, outcomes[str(x)]) for x in xs])

    return [
        curve("transaction_rows", "rows in a transaction", sizes.transaction_rows, transaction),
        curve(
            "columns",
            "columns of a table",
            sizes.columns,
            lambda columns: binlogs.wide(url, max(1_000, rows // columns), columns, f"grow_wide_{columns}"),
        ),
        curve("lanes", "lanes", sizes.lanes, lambda _: base, lanes=True),
        curve("tables", "tables", sizes.tables, lambda tables: binlogs.many_tables(url, tables, rows)),
    ]
