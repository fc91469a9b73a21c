"""`cdc replay FILE --from POS`: the rewind, and what a range holds (`--dry-run`)."""

from typing import Any

import click

from cdc.cli.dry_run import dry_run as count
from cdc.cli.refresh import refresh as rows
from cdc.cli.screen import console, print_json
from cdc.model.errors import UsageError
from cdc.model.file_url import is_file_urls
from cdc.processes.replay import Rewound
from cdc.processes.row_choice import choice
from cdc.wiring import build
from cdc.wiring.connector_file import load
from cdc.wiring.parts import Parts


@click.command()
@click.argument("file")
@click.option(
    "--from",
    "from_",
    required=True,
    metavar="POS",
    help="file:offset, a GTID set, an ISO time, earliest, or an archived file that source.archives has too: "
    "file:///folder/mysql-bin.000042:4. What the server has purged is read from source.archives",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="only count what was changed from there on: rows by table and operation, times, GTIDs; "
    "--from may name binlog files alone",
)
@click.option(
    "--to",
    "end",
    metavar="POS",
    help="refresh: every row that was touched up to there is brought to its present state, and the stream is not rewound",
)
@click.option(
    "--table", "tables", multiple=True, metavar="DB.TABLE", help="of a refresh: these tables only, with * and ?"
)
@click.option("--json", "as_json", is_flag=True)
def replay(file: str, from_: str, dry_run: bool, end: str | None, tables: tuple[str, ...], as_json: bool) -> None:
    """Rewinds: a new generation, in which the stream is applied again, in order, from POS to the present and on.

    Running processes take it up by themselves; otherwise the next `cdc run` does. With --to it refreshes: the stream runs
    on, and no row goes back in time. With --dry-run nothing is changed.
    """
    config = load(file)
    if dry_run:
        count(config, from_, end or (None if is_file_urls(from_) else "latest"), choice(tables, ()), as_json=as_json)
        return
    if config.queue.url.scheme == "memory":
        raise UsageError("a queue in memory ends with its process", hint="set source.start, and use `cdc run`")
    if end is not None:
        rows(config, from_, end, choice(tables, ()), as_json=as_json)
        return
    if tables:
        raise UsageError("--table is for a refresh", hint="give --to POS as well: a rewind takes all tables")
    with Parts(config) as parts:
        rewound = build.rewind(parts, from_)
    if as_json:
        print_json(_document(rewound))
        return
    out = console()
    point = rewound.now.point.position
    if _moved(rewound):
        out.print(f"{from_} lies inside a transaction; its start {point} is taken")
    out.print(f"generation {rewound.now.generation} begins at {point}; all that follows is applied again, in order")
    out.print("a running reader goes on from there by itself; else: cdc run " + file)


def _moved(rewound: Rewound) -> bool:
    asked = rewound.asked.rpartition(":")[2]
    return ":" in rewound.asked and asked.isdigit() and int(asked) != rewound.now.point.offset


def _document(rewound: Rewound) -> dict[str, Any]:
    before = rewound.before
    return {
        "generation": rewound.now.generation,
        "from": str(rewound.now.point.position),
        "gtid_set": rewound.now.point.gtid_set,
        "was": None if before is None else {"generation": before.generation, "at": str(before.point.position)},
    }
