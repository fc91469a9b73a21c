"""What a QUERY event's statement does to captured tables, as far as rows do not say it.

sqlglot's tokenizer (quotes, comments, escapes of the MySQL dialect) and a few shapes over its tokens: its parser answers
`Command` to RENAME TABLE, TRUNCATE PARTITION and EXCHANGE PARTITION, which are the ones that matter. What has no known shape
is UNKNOWN, and the stream stops there.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from functools import cache
from typing import TYPE_CHECKING

from pymysql.charset import charset_by_id

if TYPE_CHECKING:
    from sqlglot.dialects.mysql import MySQL
    from sqlglot.tokenizer_core import Token

TableName = tuple[str, str]


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
    CREATE = auto()  # CREATE TABLE; also OR REPLACE, LIKE, … SELECT
    DROP = auto()  # DROP TABLE, RENAME TABLE (both names), ALTER … RENAME
    DROP_DATABASE = auto()  # `tables` holds the database and ""
    ALTER = auto()
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
        "INDEX",
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
_VERSIONED = re.compile(r"\s*/\*M?!\d*(.*)\*/\s*", re.DOTALL)


def read(sql: bytes, db: str, charset: int | None) -> Statement:
    """The effect of one statement. `db`: the default database; `charset`: collation id of the client's text."""
    known = _WHOLE.get(sql)
    if known is not None:
        return known
    try:
        written = text(sql, charset)
        tokens = _tokens(written)
        versioned = _VERSIONED.fullmatch(written)
        if not tokens and versioned:
            # The whole statement is a comment that servers execute.
            tokens = _tokens(versioned[1])
        return _Reading(tokens, db, written).statement() if tokens else Statement(Effect.HARMLESS)
    except (ValueError, LookupError):
        return Statement(Effect.UNKNOWN)


def first_words(sql: bytes) -> str:
    """For messages: the first words only, since a statement's text may hold values."""
    text = re.sub(r"/\*.*?\*/", " ", sql[:200].decode("utf-8", "replace"))
    words = re.match(r"\s*[A-Za-z]+(\s+[A-Za-z]+)?", text)
    return " ".join(words[0].upper().split()) if words else "a statement"


def text(sql: bytes, charset: int | None) -> str:
    """Raises ValueError, LookupError or KeyError where the charset cannot be told or does not fit."""
    if charset is None or sql.isascii():
        return sql.decode("utf-8")
    return sql.decode(charset_by_id(charset).encoding)


def _tokens(text: str) -> "list[Token]":
    from sqlglot.errors import TokenError  # noqa: PLC0415 — most streams never need it

    try:
        # Behind a first word, so that no word counts as a "command" whose rest is taken as one string.
        return _dialect().tokenize(f"SELECT {text}")[1:]
    except TokenError as error:
        raise ValueError("no tokens") from error


@cache
def _dialect() -> "MySQL":
    from sqlglot.dialects.mysql import MySQL  # noqa: PLC0415

    return MySQL()


class _Reading:
    """Walks over a statement's tokens; LookupError means that they end, or go on, where they should not."""

    def __init__(self, tokens: "list[Token]", db: str, sql: str) -> None:
        self._tokens = tokens
        self._words = [token.text.upper() for token in tokens]
        self._db = db
        self._sql = sql
        self._at = 0

    def statement(self) -> Statement:
        first = self._words[0]
        effect = _BY_FIRST_WORD.get(first)
        if effect is Effect.ROWS_BY_STATEMENT:
            return Statement(effect, self._tables_of_rows())
        if effect is not None:
            return Statement(effect)
        self._at = 1
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
        to = self._skip("TO") or self._skip("WORK", "TO")
        return Statement(Effect.ROLLBACK_TO if to else Effect.ROLLBACK)

    def _truncate(self) -> Statement:
        self._skip("TABLE")
        return Statement(Effect.TRUNCATE, (self._name(),))

    def _tables_of_rows(self) -> tuple[TableName, ...]:
        """Every table that an INSERT, UPDATE or DELETE names; none where that does not tell what it writes."""
        from sqlglot import exp  # noqa: PLC0415
        from sqlglot.errors import ParseError  # noqa: PLC0415

        if self._words[0] not in {"INSERT", "UPDATE", "DELETE"}:
            return ()
        try:
            tree = _dialect().parse(self._sql)[0]
        except ParseError:
            return ()
        # A function may write to any table.
        if tree is None or isinstance(tree, exp.Command) or tree.find(exp.Anonymous):
            return ()
        return tuple((table.db or self._db, table.name) for table in tree.find_all(exp.Table))

    def _rename(self) -> Statement:
        if not (self._skip("TABLE") or self._skip("TABLES")):
            return Statement(Effect.HARMLESS if self._words[1] == "USER" else Effect.UNKNOWN)
        self._skip("IF", "EXISTS")
        tables = [self._name()]
        while self._at < len(self._tokens):
            if self._skip("WAIT"):
                self._at += 1
            elif self._skip("TO") or self._skip(","):
                tables.append(self._name())
            elif not self._skip("NOWAIT"):
                break
        return self._ended(Statement(Effect.DROP, tuple(tables)))

    def _create(self) -> Statement:
        self._skip("OR", "REPLACE")
        if not self._skip("TABLE"):
            return Statement(Effect.HARMLESS)
        self._skip("IF", "NOT", "EXISTS")
        return Statement(Effect.CREATE, (self._name(),))

    def _drop(self) -> Statement:
        if self._is_temporary():
            return Statement(Effect.HARMLESS)
        if self._skip("DATABASE") or self._skip("SCHEMA"):
            self._skip("IF", "EXISTS")
            return Statement(Effect.DROP_DATABASE, ((self._text(), ""),))
        if not (self._skip("TABLE") or self._skip("TABLES")):
            return self._harmless_object()
        self._skip("IF", "EXISTS")
        tables = [self._name()]
        while self._skip(","):
            tables.append(self._name())
        return Statement(Effect.DROP, tuple(tables))

    def _is_temporary(self) -> bool:
        """`DROP TEMPORARY` or, as the server writes it, `DROP /*!40005 TEMPORARY */`."""
        return self._words[1:2] == ["TEMPORARY"] or any("TEMPORARY" in comment for comment in self._tokens[0].comments)

    def _alter(self) -> Statement:
        while self._skip("ONLINE") or self._skip("IGNORE"):
            continue
        if self._words[self._at] in {"DATABASE", "SCHEMA"}:
            return Statement(Effect.HARMLESS)
        if not self._skip("TABLE"):
            return self._harmless_object()
        self._skip("IF", "EXISTS")
        table = self._name()
        pairs = list(self._pairs())
        if any((word, after) in _ROW_OPERATIONS for _, word, after in pairs):
            return Statement(Effect.REPLACE_ROWS, (table, *self._named_after("TABLE", pairs)))
        for at, word, after in pairs:
            if word == "RENAME" and after not in _RENAMES_A_PART:
                self._at = at + 1
                if not (self._skip("TO") or self._skip("AS") or self._skip("=")):
                    self._skip("")
                return Statement(Effect.DROP, (table, self._name()))
        return Statement(Effect.ALTER, (table,))

    def _pairs(self) -> Iterator[tuple[int, str, str]]:
        """(index, word, next word) of the unquoted words from here on, outside parentheses."""
        depth = 0
        for at in range(self._at, len(self._tokens)):
            word = self._words[at]
            depth += (word == "(") - (word == ")")
            if depth == 0 and not self._is_quoted(at):
                yield at, word, self._words[at + 1] if at + 1 < len(self._words) else ""

    def _named_after(self, word: str, pairs: list[tuple[int, str, str]]) -> list[TableName]:
        found = []
        for at, one, _ in pairs:
            if one == word:
                self._at = at + 1
                found.append(self._name())
        return found

    def _harmless_object(self) -> Statement:
        return Statement(Effect.HARMLESS if self._words[self._at] in _HARMLESS_OBJECTS else Effect.UNKNOWN)

    def _skip(self, *words: str) -> bool:
        stop = self._at + len(words)
        if tuple(self._words[self._at : stop]) == words and not self._is_quoted(self._at):
            self._at = stop
            return True
        return False

    def _is_quoted(self, at: int) -> bool:
        return self._tokens[at].token_type.name in {"IDENTIFIER", "STRING"}

    def _text(self) -> str:
        text = self._tokens[self._at].text
        self._at += 1
        return text

    def _name(self) -> TableName:
        """`table` or `db.table` from here on; what follows it must not belong to a name."""
        first = self._text()
        if self._at < len(self._tokens) and self._words[self._at] == ".":
            self._at += 1
            return first, self._text()
        if not first or (self._at < len(self._tokens) and self._words[self._at].startswith(".")):
            raise LookupError("not a name")
        return self._db, first

    def _ended(self, statement: Statement) -> Statement:
        rest = self._words[self._at :]
        return statement if rest in ([], [";"]) else Statement(Effect.UNKNOWN)
