"""CREATE TABLE, ALTER TABLE, DROP TABLE and their kin: what they do to the tables that are captured or tracked."""

from collections.abc import Callable, Sequence

from cdc.binlog.history import clauses, values
from cdc.binlog.history.altering import altered, created
from cdc.binlog.history.blind import blind_steps
from cdc.binlog.history.clauses import AddIndex, Clause, Created, DropIndex
from cdc.binlog.history.collations import by_id, resolved
from cdc.binlog.history.columns import UnknownCollation
from cdc.binlog.history.context import TableName
from cdc.binlog.history.indexes import Index, read_named_index
from cdc.binlog.history.options import DATABASE_OPTIONS, read_database_options
from cdc.binlog.history.renaming import move
from cdc.binlog.history.shape import Shape
from cdc.binlog.history.steps import steps_between
from cdc.binlog.history.tokens import Reader
from cdc.binlog.history.work import DATABASE, Work, not_understood
from cdc.model.table_version import TableVersion


def create_table(work: Work, reader: Reader) -> None:
    start = reader.at
    reader.skip("OR", "REPLACE")
    reader.expect("TABLE")
    reader.skip("IF", "NOT", "EXISTS")
    name = work.fold(reader.name(work.context.db))
    if not work.concerns(name):
        return
    reader.at = start
    if not work.captured(name):
        _track(work, name, reader)
        return
    try:
        made = clauses.read_created(reader, work.context)
        if made.selects:
            raise LookupError("its columns come from a SELECT")
        _create_captured(work, name, made)
    except LookupError as error:
        raise not_understood(name, f"its definition is not understood: {error.args[0]}") from error


def _create_captured(work: Work, name: TableName, made: Created) -> None:
    there = work.is_there(name)
    if made.if_not_exists and there is not False:
        # Where it is not known whether the table was there, nothing is said of it until its rows come.
        return
    if there or (made.or_replace and there is None):
        work.changed("drop", name)
    shape = _created_shape(work, name, made)
    if shape is None:
        work.gone(name)
        work.changed("create", name)
        return
    version = shape.version(name, work.context.place)
    work.put(version)
    work.changed("create", name, schema=version.schema)


def _created_shape(work: Work, name: TableName, made: Created) -> Shape | None:
    """None: copied from a table that is not known here, or with columns of a collation that is not."""
    if made.like is None:
        try:
            return created(made, work.collation(name[0]), work.context)
        except UnknownCollation:
            return None
    like = work.known(work.fold(made.like))
    return None if like is None else Shape.of(like)


def _track(work: Work, name: TableName, reader: Reader) -> None:
    """A table beside a captured one that may take its place. What is not understood of it is not known, no more."""
    origin = work.ghost_of(name)
    try:
        made = clauses.read_created(reader, work.context)
        shape = None if made.selects else _created_shape(work, name, made)
    except LookupError:
        shape = None
    if shape is None or (made.if_not_exists and work.known(name) is not None):
        if shape is None:
            work.gone(name)
        return
    like = None if origin is None else work.known(origin)
    same = like is not None and Shape.of(like).same_table(shape)
    work.put(shape.version(name, work.context.place, origin if same else None))


def alter_table(work: Work, reader: Reader) -> None:
    while reader.skip("ONLINE") or reader.skip("IGNORE"):
        continue
    reader.expect("TABLE")
    if_exists = reader.skip("IF", "EXISTS")
    name = work.fold(reader.name(work.context.db))
    to = _new_name(work, reader)
    if not work.concerns(name) and (to is None or not work.concerns(to)):
        return
    if if_exists and work.is_there(name) is False:
        return
    _alter(work, name, lambda: clauses.read_alter(reader, work.context))
    if to is not None:
        move(work, [(name, to)])


def _new_name(work: Work, reader: Reader) -> TableName | None:
    start = reader.at
    found = None
    for clause in reader.clauses():
        if clause.peek() == "RENAME" and clause.peek(1) not in {"COLUMN", "INDEX", "KEY"}:
            clause.take()
            clause.skip_any("TO", "AS", "=")
            found = work.fold(clause.name(work.context.db))
    reader.at = start
    return found


def create_index(work: Work, reader: Reader) -> None:
    """From behind CREATE on."""
    reader.skip("OR", "REPLACE")
    unique = reader.skip("UNIQUE")
    reader.skip_any("ONLINE", "OFFLINE", "FULLTEXT", "SPATIAL", "VECTOR")
    reader.expect("INDEX")
    if_not_exists = reader.skip("IF", "NOT", "EXISTS")
    index = reader.identifier()
    if reader.skip_any("USING", "TYPE"):
        reader.take()
    reader.expect("ON")
    name = work.fold(reader.name(work.context.db))
    if not work.concerns(name):
        return

    def clause() -> list[Clause]:
        parts = read_named_index(reader)
        return [AddIndex(Index(index, "unique" if unique else "plain", parts, if_not_exists))]

    _alter(work, name, clause)


def drop_index(work: Work, reader: Reader) -> None:
    """From behind DROP INDEX on."""
    if_exists = reader.skip("IF", "EXISTS")
    index = reader.identifier()
    reader.expect("ON")
    name = work.fold(reader.name(work.context.db))
    if work.concerns(name):
        _alter(work, name, lambda: [DropIndex(index, if_exists)])


def _alter(work: Work, name: TableName, read: Callable[[], Sequence[Clause]]) -> None:
    try:
        given = read()
        if work.known(name) is not None:
            _alter_known(work, name, given)
        elif work.captured(name):
            steps = blind_steps(given, work.context)
            if steps:
                work.changed("alter", name, steps=tuple(steps))
    except (LookupError, values.Untold) as error:
        if work.captured(name):
            raise _not_altered(name, error) from error
        work.gone(name)


def _not_altered(name: TableName, error: Exception) -> Exception:
    if isinstance(error, values.Untold):
        return not_understood(name, f"the value that its rows now have {error}")
    return not_understood(name, f"what the statement does to it is not understood: {error.args[0]}")


def _alter_known(work: Work, name: TableName, given: Sequence[Clause]) -> None:
    version = work.known(name)
    assert version is not None  # noqa: S101 — asked by the caller
    before = Shape.of(version)
    after = altered(before, given, work.context)
    steps = steps_between(before, after, work.context)
    earlier = version.steps if version.origin else ()
    made = after.version(name, work.context.place, version.origin, (*earlier, *steps) if version.origin else ())
    work.put(made)
    if work.captured(name) and (steps or made.schema != version.schema):
        work.changed("alter", name, steps=tuple(steps), schema=made.schema)


def drop_table(work: Work, reader: Reader) -> None:
    """From behind DROP TABLE on."""
    reader.skip("IF", "EXISTS")
    names = [reader.name(work.context.db)]
    while reader.skip(","):
        names.append(reader.name(work.context.db))
    for name in map(work.fold, names):
        _drop(work, name)


def _drop(work: Work, name: TableName) -> None:
    if work.captured(name) and work.is_there(name) is not False:
        work.changed("drop", name)
    work.gone(name)


def drop_database(work: Work, reader: Reader) -> None:
    """From behind DROP DATABASE on."""
    reader.skip("IF", "EXISTS")
    db = work.fold((reader.identifier(), ""))[0]
    for name in work.tables_of(db):
        _drop(work, name)
    if work.version((db, DATABASE)) is not None:
        work.put(TableVersion(*work.context.place, db, DATABASE, schema=None))


def database(work: Work, reader: Reader, *, creates: bool, replaces: bool = False) -> None:
    """From behind CREATE DATABASE or ALTER DATABASE on: its default collation."""
    exists = reader.skip("IF", "NOT", "EXISTS")
    db = work.context.db
    if creates or (not reader.ended and reader.peek() not in DATABASE_OPTIONS):
        db = reader.identifier()
    db = work.fold((db, ""))[0]
    old = work.collation(db)
    if replaces:
        for name in work.tables_of(db):
            _drop(work, name)
    elif exists and old is not None:
        return
    given = read_database_options(reader)
    server = work.context.session.server_collation
    try:
        default = (None if server is None else by_id(server)) if creates else old
        collation = resolved(given.charset, given.collation, default, work.context)
    except LookupError:
        # It matters once a captured table takes it, which is refused then.
        collation = None
    work.put(TableVersion(*work.context.place, db, DATABASE, schema=None, collation=collation))
