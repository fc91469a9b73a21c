"""What a QUERY event's statement does to captured tables, as far as rows do not say it.

sqlglot's tokenizer (quotes, comments, escapes of the MySQL dialect) and a few shapes over its tokens: its parser answers
`Command` to RENAME TABLE, TRUNCATE PARTITION and EXCHANGE PARTITION, which are the ones that matter. What has no known shape
is UNKNOWN, and the stream stops there. What DDL makes of a table's shape is the schema history's to say (cdc/binlog/history).
"""

import re
from dataclasses import dataclass
from enum import Enum, auto

from pymysql.charset import charset_by_id

from cdc.binlog.history.context import TableName
from cdc.binlog.history.options import DATABASE_OPTIONS
from cdc.binlog.history.renames import read_pairs
from cdc.binlog.history.tokens import Reader, Word, dialect, executed_text, head, words


class Effect(Enum):
    """What a statement means to the stream; `Statement.tables` says of which tables."""

    BEGIN = auto()
    COMMIT = auto()
    ROLLBACK = auto()
    SAVEPOINT = auto()  # also RELEASE SAVEPOINT
    ROLLBACK_TO = auto()
    XA = auto()
    HARMLESS = auto()  # no captured row can change by it
    TRUNCATE = auto()
    CREATE = auto()  # CREATE TABLE; also OR REPLACE (which drops it before), LIKE, … SELECT
    DROP = auto()  # DROP TABLE, RENAME TABLE (both names), ALTER … RENAME
    DROP_DATABASE = auto()  # `tables` holds the database and ""
    DATABASE = auto()  # CREATE and ALTER DATABASE, which may set a default collation; `tables` as above
    ALTER = auto()  # also CREATE INDEX and DROP INDEX
    REPLACE_ROWS = auto()  # partition and tablespace operations: rows come and go without row events
    ROWS_BY_STATEMENT = auto()  # INSERT and its like, logged as a statement; no `tables`: it cannot be told which
    UNKNOWN = auto()


@dataclass(frozen=True, slots=True)
class Statement:
    effect: Effect
    tables: tuple[TableName, ...] = ()


_WHOLE = {
    b"BEGIN": Statement(Effect.BEGIN),
    b"COMMIT": Statement(Effect.COMMIT),
    b"ROLLBACK": Statement(Effect.ROLLBACK),
}
_BY_FIRST_WORD = {
    **{word: Effect[word] for word in ("BEGIN", "COMMIT", "SAVEPOINT", "XA")},
    "RELEASE": Effect.SAVEPOINT,
    **dict.fromkeys(
        (
            "GRANT",
            "REVOKE",
            "ANALYZE",
            "OPTIMIZE",
            "REPAIR",
            "CHECK",
            "CHECKSUM",
            "FLUSH",
            "SET",
            "INSTALL",
            "UNINSTALL",
            "KILL",
            "RESET",
            "PURGE",
            "SHOW",
        ),
        Effect.HARMLESS,
    ),
    **dict.fromkeys(
        (
            "INSERT",
            "UPDATE",
            "DELETE",
            "REPLACE",
            "LOAD",
            "CALL",
            "WITH",
            "SELECT",
            "DO",
            "HANDLER",
            "IMPORT",
            "EXECUTE",
        ),
        Effect.ROWS_BY_STATEMENT,
    ),
}
_TOLD_BY_THE_PARSER = frozenset(("INSERT", "UPDATE", "DELETE"))
# What ALTER and DROP may name beside tables and databases: no row of a table changes by it.
_HARMLESS_OBJECTS = frozenset(
    (
        "USER",
        "ROLE",
        "VIEW",
        "PROCEDURE",
        "FUNCTION",
        "TRIGGER",
        "EVENT",
        "SERVER",
        "TABLESPACE",
        "LOGFILE",
        "UNDO",
        "RESOURCE",
        "SPATIAL",
        "SEQUENCE",
        "PACKAGE",
        "LIBRARY",
        "INSTANCE",
        "MASKING",
        "TEMPORARY",
        "PREPARE",
        "DEFINER",
        "ALGORITHM",
        "SQL",
    )
)
_ROW_OPERATIONS = {
    ("TRUNCATE", "PARTITION"),
    ("DROP", "PARTITION"),
    ("EXCHANGE", "PARTITION"),
    ("CONVERT", "PARTITION"),
    ("CONVERT", "TABLE"),
    ("DISCARD", "TABLESPACE"),
    ("IMPORT", "TABLESPACE"),
    ("DISCARD", "PARTITION"),
    ("IMPORT", "PARTITION"),
}
_RENAMES_A_PART = frozenset(("COLUMN", "INDEX", "KEY"))
_OF_INDEXES = frozenset(("INDEX", "UNIQUE", "FULLTEXT", "SPATIAL", "VECTOR", "ONLINE", "OFFLINE"))


def whole(sql: bytes) -> Statement | None:
    """BEGIN, COMMIT and ROLLBACK, as servers write them: nothing of the session matters to them. None: `read` it."""
    return _WHOLE.get(sql)


def read(sql: bytes, db: str, charset: int | None, sql_mode: int = 0, flavor: str = "mysql") -> Statement:
    """The effect of one statement. `db`: the default database; `charset`: collation id of the client's text; `sql_mode` and
    `flavor` (mysql, mariadb): of quotes and of comments that are executed."""
    try:
        decoded = text(sql, charset)
        created = _created(decoded, db, sql_mode, flavor)
        if created is not None:
            return created
        found = words(decoded, sql_mode, flavor)
        if not found:
            return Statement(Effect.HARMLESS)
        if found[0].upper in _TOLD_BY_THE_PARSER:
            return Statement(Effect.ROWS_BY_STATEMENT, _tables_of_rows(decoded, db, sql_mode, flavor))
        return _Reading(found, db).statement()
    except (ValueError, LookupError):
        return Statement(Effect.UNKNOWN)


def _created(sql: str, db: str, sql_mode: int, flavor: str) -> Statement | None:
    """A long CREATE is told by its first words; its body may be long."""
    first = head(sql, sql_mode, flavor)
    if not first or first[0].upper != "CREATE":
        return None
    try:
        return _Reading(first, db).statement()
    except LookupError:
        return None


def _tables_of_rows(sql: str, db: str, sql_mode: int, flavor: str) -> tuple[TableName, ...]:
    """Every table that an INSERT, UPDATE or DELETE names; none where that does not tell what it writes."""
    from sqlglot import exp  # noqa: PLC0415 — most streams never need it
    from sqlglot.errors import SqlglotError  # noqa: PLC0415

    try:
        tree = dialect(sql_mode).parse(executed_text(sql, sql_mode, flavor))[0]
    except SqlglotError:
        return ()
    # A function may write to any table.
    if tree is None or isinstance(tree, exp.Command) or tree.find(exp.Anonymous):
        return ()
    return tuple((table.db or db, table.name) for table in tree.find_all(exp.Table))


def first_words(sql: bytes) -> str:
    """For messages: the first words only, since a statement's text may hold values."""
    shown = re.sub(r"/\*.*?\*/", " ", sql[:200].decode("utf-8", "replace"))
    found = re.match(r"\s*[A-Za-z]+(\s+[A-Za-z]+)?", shown)
    return " ".join(found[0].upper().split()) if found else "a statement"


def text(sql: bytes, charset: int | None) -> str:
    """The statement's text. Raises ValueError or LookupError where the charset cannot be told or does not fit."""
    if charset is None or sql.isascii():
        return sql.decode("utf-8")
    return sql.decode(charset_by_id(charset).encoding)


class _Reading:
    """Walks over a statement's words; LookupError means that they end, or go on, where they should not."""

    def __init__(self, found: list[Word], db: str) -> None:
        self._reader = Reader(found)
        self._db = db

    def statement(self) -> Statement:
        first = self._reader.take().upper
        effect = _BY_FIRST_WORD.get(first)
        if effect is not None:
            return Statement(effect)
        shape = {
            "ROLLBACK": self._rollback,
            "TRUNCATE": self._truncate,
            "RENAME": self._rename,
            "CREATE": self._create,
            "DROP": self._drop,
            "ALTER": self._alter,
        }.get(first)
        return Statement(Effect.UNKNOWN) if shape is None else shape()

    def _rollback(self) -> Statement:
        to = self._reader.skip("TO") or self._reader.skip("WORK", "TO")
        return Statement(Effect.ROLLBACK_TO if to else Effect.ROLLBACK)

    def _truncate(self) -> Statement:
        self._reader.skip("TABLE")
        return Statement(Effect.TRUNCATE, (self._name(),))

    def _rename(self) -> Statement:
        if self._reader.peek() not in {"TABLE", "TABLES"}:
            return Statement(Effect.HARMLESS if self._reader.peek() == "USER" else Effect.UNKNOWN)
        return Statement(Effect.DROP, tuple(name for pair in read_pairs(self._reader, self._db) for name in pair))

    def _create(self) -> Statement:
        reader = self._reader
        replaces = reader.skip("OR", "REPLACE")
        if reader.skip_any("DATABASE", "SCHEMA"):
            reader.skip("IF", "NOT", "EXISTS")
            # OR REPLACE drops what is in it.
            return Statement(Effect.DROP_DATABASE if replaces else Effect.DATABASE, ((reader.identifier(), ""),))
        if reader.skip("TABLE"):
            reader.skip("IF", "NOT", "EXISTS")
            return Statement(Effect.CREATE, (self._name(),))
        if reader.peek() in _OF_INDEXES:
            return self._of_index()
        return Statement(Effect.HARMLESS)

    def _drop(self) -> Statement:
        reader = self._reader
        if reader.skip_any("DATABASE", "SCHEMA"):
            reader.skip("IF", "EXISTS")
            return Statement(Effect.DROP_DATABASE, ((reader.identifier(), ""),))
        if reader.peek() == "INDEX":
            return self._of_index()
        if not reader.skip_any("TABLE", "TABLES"):
            # DROP TEMPORARY TABLE among them
            return self._harmless_object()
        reader.skip("IF", "EXISTS")
        tables = [self._name()]
        while reader.skip(","):
            tables.append(self._name())
        return Statement(Effect.DROP, tuple(tables))

    def _of_index(self) -> Statement:
        """CREATE INDEX and DROP INDEX: the table stands behind ON."""
        while not self._reader.skip("ON"):
            self._reader.take()
        return Statement(Effect.ALTER, (self._name(),))

    def _alter(self) -> Statement:
        reader = self._reader
        while reader.skip_any("ONLINE", "IGNORE"):
            continue
        if reader.skip_any("DATABASE", "SCHEMA"):
            named = not reader.ended and reader.peek() not in DATABASE_OPTIONS
            return Statement(Effect.DATABASE, ((reader.identifier() if named else self._db, ""),))
        if not reader.skip("TABLE"):
            return self._harmless_object()
        reader.skip("IF", "EXISTS")
        table = self._name()
        clauses = [*reader.clauses()]
        if any(_operates_on_rows(clause) for clause in clauses):
            return Statement(Effect.REPLACE_ROWS, (table, *self._behind_table(clauses)))
        for clause in clauses:
            if clause.peek() == "RENAME" and clause.peek(1) not in _RENAMES_A_PART:
                clause.take()
                clause.skip_any("TO", "AS", "=")
                return Statement(Effect.DROP, (table, clause.name(self._db)))
        return Statement(Effect.ALTER, (table,))

    def _behind_table(self, clauses: list[Reader]) -> list[TableName]:
        """EXCHANGE PARTITION p WITH TABLE t, CONVERT PARTITION p TO TABLE t, CONVERT TABLE t TO PARTITION p."""
        found = []
        for clause in clauses:
            clause.at = 0
            while not clause.ended:
                if clause.take().upper == "TABLE":
                    found.append(clause.name(self._db))
        return found

    def _harmless_object(self) -> Statement:
        return Statement(Effect.HARMLESS if self._reader.peek() in _HARMLESS_OBJECTS else Effect.UNKNOWN)

    def _name(self) -> TableName:
        return self._reader.name(self._db)


def _operates_on_rows(clause: Reader) -> bool:
    return (clause.peek(), clause.peek(1)) in _ROW_OPERATIONS
