"""What CREATE TABLE and ALTER TABLE say, word by word; nothing is applied here.

https://dev.mysql.com/doc/refman/8.4/en/alter-table.html, https://dev.mysql.com/doc/refman/8.4/en/create-table.html,
https://mariadb.com/docs/server/reference/sql-statements/data-definition/alter/alter-table. LookupError: a word that is not known.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from cdc.binlog.history.context import Context, TableName
from cdc.binlog.history.definitions import (
    Default,
    Definition,
    read_charset,
    read_default,
    read_definition,
    skip_enforced,
)
from cdc.binlog.history.indexes import Index, read_index
from cdc.binlog.history.options import Charset, read_options
from cdc.binlog.history.tokens import Reader


class Add(NamedTuple):
    """`after`: a column; "" = first; None = at the end. So in `Change`, where None is: where it was."""

    definition: Definition
    after: str | None = None
    if_not_exists: bool = False


class Drop(NamedTuple):
    name: str
    if_exists: bool = False


class Change(NamedTuple):
    """CHANGE and MODIFY."""

    name: str
    definition: Definition
    after: str | None = None
    if_exists: bool = False


class Rename(NamedTuple):
    name: str
    to: str
    if_exists: bool = False


class SetDefault(NamedTuple):
    """`default` without words and without a source: DROP DEFAULT."""

    name: str
    default: Default
    if_exists: bool = False


class AddIndex(NamedTuple):
    made: Index


class DropIndex(NamedTuple):
    """`constraint`: DROP CONSTRAINT, which may be of something else than an index."""

    name: str
    if_exists: bool = False
    constraint: bool = False


class RenameIndex(NamedTuple):
    name: str
    to: str


class RenameTable(NamedTuple):
    to: TableName


Clause = Add | Drop | Change | Rename | SetDefault | AddIndex | DropIndex | RenameIndex | Charset | RenameTable


@dataclass(slots=True)
class Created:
    """CREATE TABLE. `like`: the table that it copies. `selects`: columns may come from a SELECT."""

    table: TableName
    if_not_exists: bool = False
    or_replace: bool = False
    like: TableName | None = None
    definitions: list[Definition] = field(default_factory=list)
    indexes: list[Index] = field(default_factory=list)
    charset: str | None = None
    collation: str | None = None
    selects: bool = False


def read_created(reader: Reader, context: Context) -> Created:
    """From behind CREATE on."""
    or_replace = reader.skip("OR", "REPLACE")
    reader.expect("TABLE")
    if_not_exists = reader.skip("IF", "NOT", "EXISTS")
    made = Created(reader.name(context.db), if_not_exists, or_replace)
    if reader.skip("LIKE"):
        made.like = reader.name(context.db)
    elif reader.peek() == "(" and reader.peek(1) == "LIKE":
        inside = reader.group()
        inside.expect("LIKE")
        made.like = inside.name(context.db)
    elif reader.peek() == "(" and reader.peek(1) not in {"SELECT", "WITH", "("}:
        _items(made, reader.group(), context)
    for each in read_options(reader):
        made.charset, made.collation = each.charset or made.charset, each.collation or made.collation
    made.selects = not reader.ended and reader.peek() != ";"
    return made


def _items(made: Created, inside: Reader, context: Context) -> None:
    for item in inside.clauses():
        index = read_index(item)
        if index is not None:
            made.indexes.append(index)
        else:
            made.definitions.append(read_definition(item.identifier(), item, context))
        item.end()


def read_alter(reader: Reader, context: Context) -> list[Clause]:
    """From behind the table's name on."""
    found: list[Clause] = []
    while reader.skip("NOWAIT") or reader.skip("WAIT"):
        if reader.kind() == "number":
            reader.take()
    ordering = False
    for clause in reader.clauses():
        if ordering and _is_order(clause):
            continue
        ordering = clause.peek() == "ORDER"
        found.extend(_clause(clause, context))
        if clause.peek() not in {"PARTITION", "REMOVE"} and not ordering:
            clause.end()
    return found


def _is_order(clause: Reader) -> bool:
    """Whether it is one more column of ORDER BY."""
    start = clause.at
    try:
        clause.name("")
        clause.skip_any("ASC", "DESC")
    except LookupError:
        return False
    alone = clause.ended
    clause.at = start
    return alone


def _clause(clause: Reader, context: Context) -> list[Clause]:
    word = clause.peek()
    shape = {
        "ADD": _add,
        "DROP": _drop,
        "CHANGE": _change,
        "MODIFY": _modify,
        "RENAME": _rename,
        "ALTER": _alter,
        "CONVERT": _convert,
    }.get(word)
    if shape is not None:
        clause.take()
        return shape(clause, context)
    if word in {"ORDER", "PARTITION", "REMOVE"} or _is_maintenance(clause):
        return []
    return list(read_options(clause))


_OF_PARTITIONS = frozenset(
    ("REORGANIZE", "COALESCE", "ANALYZE", "CHECK", "OPTIMIZE", "REBUILD", "REPAIR", "UPGRADE", "SECONDARY_LOAD")
)


def _is_maintenance(clause: Reader) -> bool:
    """What changes neither shape nor rows; it is passed."""
    if clause.skip("FORCE") or clause.skip("SECONDARY_LOAD") or clause.skip("SECONDARY_UNLOAD"):
        return True
    if clause.skip_any("ENABLE", "DISABLE"):
        clause.expect("KEYS")
        return True
    if clause.peek() in {"WITH", "WITHOUT"} and clause.peek(1) == "VALIDATION":
        clause.at += 2
        return True
    if clause.peek() in _OF_PARTITIONS and clause.peek(1) in {"PARTITION", "PARTITIONING"}:
        while not clause.ended:
            clause.take()
        return True
    return False


def _add(clause: Reader, context: Context) -> list[Clause]:
    if clause.skip("SYSTEM", "VERSIONING"):
        return []
    if clause.peek() == "PARTITION":
        return []
    if not clause.skip("COLUMN"):
        index = read_index(clause)
        if index is not None:
            return [AddIndex(index)]
    if_not_exists = clause.skip("IF", "NOT", "EXISTS")
    if clause.peek() != "(":
        definition = read_definition(clause.identifier(), clause, context)
        return [Add(definition, _after(clause), if_not_exists)]
    inside = Created(("", ""))
    _items(inside, clause.group(), context)
    columns: list[Clause] = [Add(each, None, if_not_exists) for each in inside.definitions]
    return columns + [AddIndex(each) for each in inside.indexes]


def _after(clause: Reader) -> str | None:
    if clause.skip("FIRST"):
        return ""
    return clause.identifier() if clause.skip("AFTER") else None


def _drop(clause: Reader, context: Context) -> list[Clause]:
    del context
    if clause.skip("PRIMARY", "KEY"):
        return [DropIndex("PRIMARY")]
    if clause.skip("SYSTEM", "VERSIONING"):
        return []
    if clause.skip("PERIOD", "FOR"):
        clause.identifier()
        return []
    if clause.skip("FOREIGN", "KEY") or clause.skip("CHECK"):
        clause.skip("IF", "EXISTS")
        clause.identifier()
        return []
    if found := clause.skip_any("INDEX", "KEY", "CONSTRAINT"):
        if_exists = clause.skip("IF", "EXISTS")
        return [DropIndex(clause.identifier(), if_exists, found == "CONSTRAINT")]
    clause.skip("COLUMN")
    if_exists = clause.skip("IF", "EXISTS")
    name = clause.identifier()
    clause.skip_any("RESTRICT", "CASCADE")
    return [Drop(name, if_exists)]


def _change(clause: Reader, context: Context) -> list[Clause]:
    clause.skip("COLUMN")
    if_exists = clause.skip("IF", "EXISTS")
    name = clause.identifier()
    definition = read_definition(clause.identifier(), clause, context)
    return [Change(name, definition, _after(clause), if_exists)]


def _modify(clause: Reader, context: Context) -> list[Clause]:
    clause.skip("COLUMN")
    if_exists = clause.skip("IF", "EXISTS")
    name = clause.identifier()
    return [Change(name, read_definition(name, clause, context), _after(clause), if_exists)]


def _rename(clause: Reader, context: Context) -> list[Clause]:
    if clause.skip("COLUMN"):
        if_exists = clause.skip("IF", "EXISTS")
        name = clause.identifier()
        clause.expect("TO")
        return [Rename(name, clause.identifier(), if_exists)]
    if clause.skip_any("INDEX", "KEY"):
        clause.skip("IF", "EXISTS")
        name = clause.identifier()
        clause.expect("TO")
        return [RenameIndex(name, clause.identifier())]
    clause.skip_any("TO", "AS", "=")
    return [RenameTable(clause.name(context.db))]


def _alter(clause: Reader, context: Context) -> list[Clause]:
    del context
    if clause.skip_any("INDEX", "KEY"):
        clause.skip("IF", "EXISTS")
        clause.identifier()
        clause.skip("NOT")
        clause.skip_any("VISIBLE", "INVISIBLE", "IGNORED")
        return []
    if clause.skip_any("CHECK", "CONSTRAINT"):
        clause.identifier()
        skip_enforced(clause)
        return []
    clause.skip("COLUMN")
    if_exists = clause.skip("IF", "EXISTS")
    name = clause.identifier()
    if clause.skip("DROP", "DEFAULT"):
        return [SetDefault(name, Default(), if_exists)]
    clause.expect("SET")
    if clause.skip_any("VISIBLE", "INVISIBLE"):
        return []
    clause.expect("DEFAULT")
    return [SetDefault(name, read_default(clause), if_exists)]


def _convert(clause: Reader, context: Context) -> list[Clause]:
    del context
    clause.expect("TO")
    charset = read_charset(clause)
    if not charset:
        raise LookupError("CONVERT TO without a charset")
    collation = clause.take().text if clause.skip("COLLATE") else None
    return [Charset(charset, collation, converts=True)]
