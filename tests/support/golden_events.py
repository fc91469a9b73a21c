"""Golden events: whole transactions of real servers, as they come out of a dump, with what the server itself says they are.

`python -m tests.support.golden_events` starts the servers, runs the SQL, and writes tests/unit/golden_events/*.json anew: the
product, the SQL, the dump's raw events (hex, headers and checksums included), the rendering of the server's own mysqlbinlog, and
the items that the stream makes of them. tests/unit/test_golden_events.py reads them.
"""

import json
import os
import re
import struct
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from pymysqlreplication.constants import BINLOG

from cdc.binlog.capture import Capture
from cdc.binlog.connection import BinlogConnection, DumpRequest
from cdc.binlog.decoder import load
from cdc.binlog.events import HEADER, Event
from cdc.binlog.port import Item, Passed, Remembered
from cdc.binlog.stream import BinlogStream, RawEvents
from cdc.binlog.transactions import Rules, Transactions
from cdc.binlog.xa import Prepared
from cdc.local import Server, start_server
from cdc.model.checkpoint import SourcePoint
from cdc.model.config import SourceConfig, Url
from cdc.model.errors import NotUnderstood
from cdc.model.position import FilePosition
from cdc.model.table_version import TableVersion
from tests.fixtures.servers import connect
from tests.support.binlog_events import Replayed

FOLDER = Path(__file__).parents[1] / "unit" / "golden_events"
_TABLE = "CREATE TABLE shop.t (id INT PRIMARY KEY, name VARCHAR(200), doc {json}, note TEXT)"
_FILL = "INSERT INTO shop.t VALUES (1, 'one', '{\"a\": 1, \"b\": [true, \"x\"]}', 'first'), (2, 'two', NULL, NULL)"
_XA = ("XA START 'x'", "INSERT INTO shop.t VALUES (7, 'xa', NULL, NULL)", "XA END 'x'")


class Scenario(NamedTuple):
    """`before` runs in front of the recorded part, `sql` in it; both in one session. `after` brings global settings back."""

    sql: tuple[str, ...]
    before: tuple[str, ...] = (_FILL,)
    after: tuple[str, ...] = ()
    only: str = ""


_CHANGE = ("UPDATE shop.t SET name = 'uno' WHERE id = 1", "DELETE FROM shop.t WHERE id = 2")
SCENARIOS = {
    "plain": Scenario((*_CHANGE, "INSERT INTO shop.t VALUES (3, 'é😀', '[]', '')")),
    "image_minimal": Scenario(("SET SESSION binlog_row_image = 'MINIMAL'", *_CHANGE)),
    "image_noblob": Scenario(("SET SESSION binlog_row_image = 'NOBLOB'", *_CHANGE)),
    "truncate": Scenario(("TRUNCATE TABLE shop.t", "INSERT INTO shop.t VALUES (4, 'new', NULL, NULL)")),
    "xa_two_phases": Scenario((*_XA, "XA PREPARE 'x'", "XA COMMIT 'x'")),
    "xa_one_phase": Scenario((*_XA, "XA COMMIT 'x' ONE PHASE")),
    "xa_rolled_back": Scenario((*_XA, "XA PREPARE 'x'", "XA ROLLBACK 'x'")),
    "rotation": Scenario(("DELETE FROM shop.t WHERE id = 1", "FLUSH BINARY LOGS", "DELETE FROM shop.t WHERE id = 2")),
    "transaction_compressed": Scenario(
        ("SET SESSION binlog_transaction_compression = ON", "BEGIN", *_CHANGE, "COMMIT"), only="mysql"
    ),
    "json_partial": Scenario(
        (
            "SET SESSION binlog_row_value_options = 'PARTIAL_JSON'",
            "UPDATE shop.t SET doc = JSON_SET(doc, '$.b[0]', 'longer than before', '$.c', 1.5) WHERE id = 1",
            "UPDATE shop.t SET doc = JSON_REMOVE(doc, '$.a') WHERE id = 1",
        ),
        only="mysql",
    ),
    "gtid_tagged": Scenario(
        ("SET gtid_next = 'AUTOMATIC:golden'", *_CHANGE, "SET gtid_next = 'AUTOMATIC'"), only="mysql"
    ),
    "gtid_anonymous": Scenario(
        (
            "SET GLOBAL gtid_mode = ON_PERMISSIVE",
            "SET GLOBAL gtid_mode = OFF_PERMISSIVE",
            "DELETE FROM shop.t WHERE id = 1",
        ),
        after=("SET GLOBAL gtid_mode = ON_PERMISSIVE", "SET GLOBAL gtid_mode = ON"),
        only="mysql",
    ),
    "rows_query": Scenario(("SET SESSION binlog_rows_query_log_events = ON", *_CHANGE), only="mysql"),
    "annotate_rows": Scenario(("SET SESSION binlog_annotate_row_events = ON", *_CHANGE), only="mariadb"),
    "checksum_none": Scenario(
        ("SET GLOBAL binlog_checksum = NONE", *_CHANGE), after=("SET GLOBAL binlog_checksum = CRC32",)
    ),
    "compressed_rows_and_statements": Scenario(
        (
            "SET GLOBAL log_bin_compress_min_len = 10",
            "SET GLOBAL log_bin_compress = ON",
            "INSERT INTO shop.t VALUES (5, REPEAT('a', 150), NULL, NULL)",
            "UPDATE shop.t SET name = REPEAT('b', 150) WHERE id = 5",
            "DELETE FROM shop.t WHERE id = 5",
            "TRUNCATE TABLE shop.t /* a statement that is long enough */",
        ),
        after=("SET GLOBAL log_bin_compress = OFF",),
        only="mariadb",
    ),
    "statement_format": Scenario(("SET SESSION binlog_format = 'STATEMENT'", "DELETE FROM shop.t WHERE id = 1")),
}


class Recorded:
    """Stands where the connection stands; also gives events again to XA transactions (cdc.binlog.xa.Recall)."""

    def __init__(
        self,
        golden: dict[str, Any],
        raw: Iterable[bytes] | None = None,
        decoder: str = "python",
        *,
        include_query: bool = True,
        connection: Callable[[Iterable[bytes]], RawEvents] = Replayed,
    ) -> None:
        self._decoder = decoder
        self._include_query = include_query
        self._connection = connection
        self.raw = [bytes.fromhex(one) for one in golden["events"]] if raw is None else list(raw)
        self._golden = golden

    def stream(self) -> BinlogStream:
        golden = self._golden
        point = SourcePoint("golden", golden["file"], golden["offset"])
        config = SourceConfig(url=Url("mysql://u@h"), server_id=9, tables=("shop.*",))
        rules = Rules("mariadb" if "MariaDB" in golden["server"] else "mysql", include_query=self._include_query)
        transactions = Transactions(
            point, Capture(config, load(self._decoder)), rules, tables=_without_virtual_columns(golden), recall=self
        )
        return BinlogStream(self._connection(self.raw), point, transactions)

    def items(self) -> list[Item]:
        """All items but Passed ones, until nothing comes any more."""
        found: list[Item] = []
        for item in self.stream().items(lambda: 0.0):
            if item is None:
                return found
            if not isinstance(item, Passed | Remembered):
                found.append(item)
        return found

    def find(self, xid: str, before: FilePosition) -> Prepared | None:
        return None

    def events(self, place: Prepared) -> Iterator[Event]:
        for raw in self.raw:
            timestamp, kind, server_id, size, end, _ = HEADER.unpack_from(raw)
            start = end - size
            if end and place.start <= start < place.end and kind not in (4, 15):
                yield Event(kind, timestamp, server_id, start, end, memoryview(raw)[19:-4])


def _without_virtual_columns(golden: dict[str, Any]) -> list[TableVersion]:
    """The table as its first map tells it, which does not say that none of its columns is a virtual generated one."""
    if not any("binlog_row_image" in sql for sql in golden["sql"]):
        return []
    events = map(bytes.fromhex, golden["events"])
    first = next(raw for raw in events if raw[4] == BINLOG.TABLE_MAP_EVENT)
    schema = load("python").table_map(memoryview(first)[19:-4]).schema
    return [TableVersion("golden", 1, 4, schema.db, schema.table, schema, virtual=())]


def told(items: Iterable[Item]) -> list[Any]:
    """Items as JSON-ready values: names of kinds, and what rows hold."""
    found: list[Any] = []
    for item in items:
        match type(item).__name__:
            case "Rows":
                drafts = [[draft.op, draft.key, draft.before, draft.after] for draft in item.drafts]  # type: ignore[union-attr]
                found.append(["Rows", item.offset, item.first_row, item.query, drafts])  # type: ignore[union-attr]
            case "Begin":
                found.append(["Begin", item.transaction.gtid, item.transaction.commit_us])  # type: ignore[union-attr]
            case "End":
                found.append(["End", str(item.point.position), item.point.gtid_set])  # type: ignore[union-attr]
            case "Truncated":
                found.append(["Truncated", item.offset, item.db, item.table])  # type: ignore[union-attr]
            case name:
                found.append([name])
    return found


def _record(server: Server, name: str, scenario: Scenario) -> dict[str, Any]:
    mysql = server.kind == "mysql"
    with connect(server, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute("DROP DATABASE IF EXISTS shop")
        cursor.execute("CREATE DATABASE shop DEFAULT CHARACTER SET utf8mb4")
        cursor.execute(_TABLE.format(json="JSON" if mysql else "LONGTEXT"))
        for statement in scenario.before:
            cursor.execute(statement)
        cursor.execute("FLUSH BINARY LOGS")
        cursor.execute("SHOW BINARY LOG STATUS" if mysql else "SHOW MASTER STATUS")
        file, offset = cursor.fetchone()[:2]
        for statement in scenario.sql:
            cursor.execute(statement)
        events = list(_dump(server, file, int(offset)))
        files = sorted({file, *_rotations(events)})
        says = [line for one in files for line in _rendering(server, one, int(offset) if one == file else 4)]
        for statement in scenario.after:
            cursor.execute(statement)
    return {
        "server": f"{'MySQL' if mysql else 'MariaDB'} {server.version}",
        "sql": list(scenario.sql),
        "file": file,
        "offset": int(offset),
        "events": [raw.hex() for raw in events],
        "server_says": says,
    }


def _dump(server: Server, file: str, offset: int) -> Iterator[bytes]:
    config = SourceConfig(url=Url(server.url), server_id=4_000_000_002, tables=("shop.*",))
    request = DumpRequest(FilePosition(file, offset), server.kind)
    connection = BinlogConnection(config, request)
    try:
        while True:
            raw = connection.event(lambda: 1.0)
            if raw is not None:
                yield bytes(raw)
    except EOFError:
        return
    finally:
        connection.close()


def _rotations(events: Iterable[bytes]) -> Iterator[str]:
    for raw in events:
        if raw[4] == 4 and struct.unpack_from("<I", raw, 13)[0]:
            yield raw[27:].decode("latin-1").partition("\x00")[0][: len("mysql-bin.000001")]


def _rendering(server: Server, file: str, offset: int) -> list[str]:
    """What mysqlbinlog prints, without what differs from run to run in its frame."""
    url = Url(server.url)
    options = ["--read-from-remote-server", f"--host={url.host}", f"--port={url.port}", f"--user={url.user}"]
    shown = subprocess.run(
        [
            *server.commands["mysqlbinlog"],
            *options,
            "-vv",
            "--base64-output=DECODE-ROWS",
            f"--start-position={offset}",
            file,
        ],
        env={**os.environ, "MYSQL_PWD": url.password},
        capture_output=True,
        text=True,
        check=False,
    )
    if shown.returncode:
        raise RuntimeError(shown.stderr)
    kept = [
        line
        for line in shown.stdout.splitlines()
        if line and not re.match(r"/\*!|DELIMITER|SET @@|ROLLBACK|# \[empty\]|mysqlbinlog", line)
    ]
    return [line for line in kept if not line.startswith("/*!*/")]


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("mysql", "mariadb"):
            server = start_server(kind, Path(folder) / kind)
            try:
                for name, scenario in SCENARIOS.items():
                    if scenario.only in ("", kind):
                        golden = _record(server, name, scenario)
                        with suppress(NotUnderstood):  # what stops has no items
                            golden["items"] = told(Recorded(golden).items())
                        text = json.dumps(golden, indent=1, ensure_ascii=False)
                        (FOLDER / f"{kind}_{name}.json").write_text(text + "\n", encoding="utf-8")
            finally:
                server.stop()


if __name__ == "__main__":
    main()
