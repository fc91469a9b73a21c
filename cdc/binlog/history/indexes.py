"""Definitions of indexes and constraints."""

from typing import NamedTuple

from cdc.binlog.history.definitions import skip_enforced, skip_references
from cdc.binlog.history.tokens import NAME, WORD, Reader


class Part(NamedTuple):
    """Of an index. `column` is "" for an expression; `whole`: not a prefix of it."""

    column: str
    whole: bool = True


class Index(NamedTuple):
    """`name` "" where the server has to find one. `kind`: primary, unique, plain (also fulltext, spatial)."""

    name: str
    kind: str
    parts: tuple[Part, ...]
    if_not_exists: bool = False


def read_index(reader: Reader) -> Index | None:
    """PRIMARY KEY …, UNIQUE …, INDEX …, with CONSTRAINT before it; None where what comes next is no index. FOREIGN KEY, CHECK
    and PERIOD are passed over, as an index without parts."""
    start = reader.at
    constraint = ""
    if reader.skip("CONSTRAINT"):
        reader.skip("IF", "NOT", "EXISTS")
        if reader.peek() not in {"PRIMARY", "UNIQUE", "FOREIGN", "CHECK"}:
            constraint = reader.identifier()
    found = _key(reader, constraint) or _constraint(reader, constraint)
    if found is None:
        reader.at = start
    return found


def _key(reader: Reader, constraint: str) -> Index | None:
    if reader.skip("PRIMARY", "KEY"):
        return _index("PRIMARY", "primary", reader, constraint)
    if reader.skip("UNIQUE"):
        reader.skip_any("INDEX", "KEY")
        return _index("", "unique", reader, constraint)
    if reader.skip_any("FULLTEXT", "SPATIAL"):
        reader.skip_any("INDEX", "KEY")
        return _index("", "plain", reader, "")
    if any(reader.skip(*word) for word in (("INDEX",), ("KEY",), ("VECTOR", "INDEX"), ("VECTOR", "KEY"))):
        return _index("", "plain", reader, "")
    return None


def _constraint(reader: Reader, constraint: str) -> Index | None:
    if reader.skip("FOREIGN", "KEY"):
        return _foreign(reader, constraint)
    if reader.skip("CHECK"):
        reader.group()
        skip_enforced(reader)
        return Index(constraint, "check", ())
    if reader.skip("PERIOD", "FOR"):
        reader.identifier()
        reader.group()
        return Index("", "check", ())
    return None


def _index(name: str, kind: str, reader: Reader, constraint: str) -> Index:
    if_not_exists = reader.skip("IF", "NOT", "EXISTS")
    if reader.peek() not in {"(", "USING", "TYPE"} or (reader.peek() == "TYPE" and reader.peek(1) == "("):
        given = reader.identifier()
        name = name or given
    _index_type(reader)
    parts = tuple(_part(one) for one in reader.group().clauses())
    _index_options(reader)
    return Index(name or constraint, kind, parts, if_not_exists)


def read_named_index(reader: Reader) -> tuple[Part, ...]:
    """What follows the table's name in CREATE INDEX."""
    parts = tuple(_part(one) for one in reader.group().clauses())
    _index_options(reader)
    return parts


def _index_type(reader: Reader) -> None:
    if reader.skip_any("USING", "TYPE"):
        reader.take()


def _part(reader: Reader) -> Part:
    if reader.peek() == "(":
        reader.group()
        reader.skip_any("ASC", "DESC")
        reader.end()
        return Part("", whole=False)
    column = reader.identifier()
    whole = True
    if reader.peek() == "(":
        reader.group()
        whole = False
    if reader.skip("WITHOUT", "OVERLAPS"):
        whole = False
    reader.skip_any("ASC", "DESC")
    reader.end()
    return Part(column, whole)


def _index_options(reader: Reader) -> None:
    while not reader.ended and reader.peek() != ";":
        if reader.skip("WITH", "PARSER"):
            reader.identifier()
        elif reader.skip_any("VISIBLE", "INVISIBLE", "IGNORED") or reader.skip("NOT", "IGNORED"):
            continue
        elif reader.kind() in {WORD, NAME} and reader.peek() not in {"ALGORITHM", "LOCK", "WAIT", "NOWAIT"}:
            # KEY_BLOCK_SIZE, COMMENT, CLUSTERING, M, DISTANCE and an engine's own
            reader.take()
            reader.skip("=")
            reader.take()
        else:
            return


def _foreign(reader: Reader, constraint: str) -> Index:
    if_not_exists = reader.skip("IF", "NOT", "EXISTS")
    given = "" if reader.peek() == "(" else reader.identifier()
    parts = tuple(_part(one) for one in reader.group().clauses())
    reader.expect("REFERENCES")
    skip_references(reader)
    return Index(constraint or given, "foreign", parts, if_not_exists)
