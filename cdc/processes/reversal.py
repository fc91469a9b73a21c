"""`cdc tail --reverse-sql`: what was seen, undone, newest first, as a script in the source's own SQL.

The binlog can only be read forwards, and the script begins with what was read last: so each piece goes to a file as it comes,
with its length behind it, and the file is read backwards. Memory holds one piece, whatever the range. A transaction is whole in
the script or not in it at all; undone row by row in reverse order, every state between is one that the source had.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import IO

from cdc.binlog.reverse.statements import Facts, Undo, undo
from cdc.model.change import Transaction
from cdc.model.errors import TableRefused
from cdc.model.routing import matches
from cdc.model.schema import Column, TableSchema
from cdc.model.table_version import TableVersion
from cdc.observe.logs import escape
from cdc.processes.look import Closed, RowSeen, Seen, TableSeen, Told

_LENGTH_BYTES = 8
# Strict, so that a value that does not fit is an error; with every date that a source may hold. See the header's comments.
_MODES = "NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES,NO_ENGINE_SUBSTITUTION"
_STRICT = f"SET sql_mode = 'STRICT_ALL_TABLES,{_MODES}';"
_UNSTRICT = f"SET sql_mode = '{_MODES}'; -- for number 0 of an ENUM, which a strict mode refuses"
_HEADER = f"""
-- Read it before you run it. It must end at the first error, as `mysql` does without --force: what is open is rolled back.
-- Rows are found by their keys alone, and are set to what they had: changes that came after the range are overwritten.
-- Triggers fire again. What foreign keys' CASCADE and SET NULL did to child rows is not undone (it is not in the binlog).
SET NAMES utf8mb4;
SET time_zone = '+00:00'; -- TIMESTAMPs are in UTC
-- NO_ZERO_DATE and NO_ZERO_IN_DATE are off and ALLOW_INVALID_DATES is on: a source may hold such dates, and gets them back.
{_STRICT}
"""


class KeptBack:
    """The columns that the connector file keeps back, as patterns of `db.table.column`."""

    def __init__(self, *patterns: Iterable[str]) -> None:
        self._patterns = [one for some in patterns for one in some]

    def refuse(self, schema: TableSchema) -> None:
        """Raises TableRefused where the table has such a column: its values are not to be shown."""
        found = [column.name for column in schema.columns if matches(self._patterns, f"{schema.name}.{column.name}")]
        if found:
            raise TableRefused(
                f"table {schema.name} has columns that are masked or excluded ({', '.join(found)}): their values are kept back, "
                "and a statement that undoes a change would hold them",
                hint="choose other tables (--table), or use a connector file that may show these columns",
            )


class TypesTold:
    """MariaDB logs UUID, INET4 and INET6 as the bytes in which it stores them, and says BINARY: only a CREATE TABLE that was
    read, or the server itself, tells which one a column is. `present`: the type of each `db.table.column` at the server now."""

    def __init__(self, flavor: str, present: dict[str, str], tables: Iterable[TableVersion] = ()) -> None:
        self._asks = flavor == "mariadb"
        self._present = present
        self._told: set[tuple[str, str]] = set()
        self.learn(tables)

    def learn(self, versions: Iterable[TableVersion]) -> None:
        """Those of a statement, or of the server; table maps do not tell what is virtual either."""
        self._told.update((one.db, one.table) for one in versions if one.virtual is not None)

    def disguised(self, schema: TableSchema, column: Column) -> str:
        if not self._asks or column.type != "binary" or column.length not in (4, 16):
            return ""
        if (schema.db, schema.table) in self._told or self._present.get(f"{schema.name}.{column.name}") == "binary":
            return ""
        return "it may be a UUID, INET4 or INET6, which the binlog does not tell from BINARY"


class Reversal:
    """Takes what was seen; `lines` is the script. `spool`: an empty file of its own. `computed`: of `db.table.column`, whether
    the server computes it. `changes`: statements in the script; `refused`: what it cannot undo, or not exactly."""

    def __init__(
        self, spool: IO[bytes], kept_back: KeptBack, types: TypesTold, computed: Callable[[str], bool]
    ) -> None:
        self._spool = spool
        self._kept_back = kept_back
        self._types = types
        self._facts = Facts(computed, types.disguised)
        self._checked: set[str] = set()
        self._begun_at: int | None = None
        self._transaction: Transaction | None = None
        self._framed = False
        self._pending = (0, 0)
        self.changes = 0
        self.refused = 0

    def take(self, seen: Seen | None) -> None:
        """Raises TableRefused (see KeptBack)."""
        match seen:
            case RowSeen():
                self._row(seen)
            case TableSeen():
                self._table(seen)
            case Closed():
                self._close()
            case Told(versions):
                self._types.learn(versions)

    def lines(self, title: Sequence[str]) -> Iterator[str]:
        """The script, in pieces that end at a line's end. `title`: what it undoes, for its head. Call it once, at the end."""
        self._drop_open()
        yield "".join(f"-- {escape(line)}\n" for line in title)
        yield _HEADER.lstrip("\n")
        end = self._spool.seek(0, 2)
        while end:
            self._spool.seek(end - _LENGTH_BYTES)
            length = int.from_bytes(self._spool.read(_LENGTH_BYTES), "little")
            end -= _LENGTH_BYTES + length
            self._spool.seek(end)
            yield self._spool.read(length).decode()
        refused = f"; {self.refused} not undone, or not exactly" if self.refused else ""
        yield f"-- {self.changes} statements{refused}\n"

    def _row(self, seen: RowSeen) -> None:
        if seen.schema.fingerprint() not in self._checked:
            self._kept_back.refuse(seen.schema)
            self._checked.add(seen.schema.fingerprint())
        made = undo(seen.change, seen.schema, self._facts)
        if not made.statement and not made.refused:
            return
        self._open(seen.transaction)
        if made.statement and not self._framed:
            self._framed = True
            self._write("COMMIT;\n")
        self._write(self._comments(seen, made) + _statement(made))
        self._count(bool(made.statement), bool(made.refused or made.doubts))

    def _comments(self, seen: RowSeen, made: Undo) -> str:
        lines = [f"-- was: {seen.query}"] if seen.query else []
        if made.refused:
            key = ", ".join(seen.change.key)
            what = f"{_WORDS[seen.change.op]} of a row of {seen.schema.name} (key {key})"
            lines.append(f"-- NOT UNDONE: {what}: {made.refused}")
        lines += [f"-- NOT EXACT: {one}" for one in made.doubts]
        return "".join(f"{escape(line)}\n" for line in lines)

    def _table(self, seen: TableSeen) -> None:
        self._open(seen.transaction)
        text = f"-- NOT UNDONE: {seen.what} {seen.name}"
        text += ", which took all rows of it" if seen.change is None else f": {seen.change.ddl}"
        self._write(f"{escape(text)}\n-- What follows was done to the tables as they were before that.\n")
        self._count(False, True)

    def _count(self, changed: bool, refused: bool) -> None:
        changes, troubles = self._pending
        self._pending = (changes + changed, troubles + refused)

    def _open(self, transaction: Transaction) -> None:
        if self._begun_at is None:
            self._begun_at = self._spool.seek(0, 2)
            self._transaction = transaction
            self._framed = False
            self._pending = (0, 0)

    def _close(self) -> None:
        if self._begun_at is None or self._transaction is None:
            return
        named = _named(self._transaction)
        self._write(f"\n-- undoes {named}\nSTART TRANSACTION;\n" if self._framed else f"\n-- {named}\n")
        self.changes += self._pending[0]
        self.refused += self._pending[1]
        self._begun_at = None

    def _drop_open(self) -> None:
        """A transaction whose end was not read may never have been committed."""
        if self._begun_at is None or self._transaction is None:
            return
        self._spool.seek(self._begun_at)
        self._spool.truncate()
        why = "the files end inside it; it may never have been committed"
        self._write(f"\n-- NOT UNDONE: {_named(self._transaction)}: {why}\n")
        self.refused += 1
        self._begun_at = None

    def _write(self, text: str) -> None:
        raw = text.encode()
        self._spool.write(raw + len(raw).to_bytes(_LENGTH_BYTES, "little"))


_WORDS = {"c": "INSERT", "u": "UPDATE", "d": "DELETE"}


def _statement(made: Undo) -> str:
    if not made.statement:
        return ""
    return f"{_UNSTRICT}\n{made.statement}\n{_STRICT}\n" if made.unstrict else f"{made.statement}\n"


def _named(transaction: Transaction) -> str:
    committed = datetime.fromtimestamp(transaction.commit_us / 1_000_000, UTC).isoformat(timespec="milliseconds")
    thread = "" if transaction.thread is None else f", thread {transaction.thread}"
    at = "" if not transaction.gtid else f" at {transaction.point.position}"
    return f"transaction {transaction.id}{at}, committed {committed}{thread}"
