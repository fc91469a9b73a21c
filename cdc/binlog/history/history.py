"""What tables look like at each place of the binlog: from the server at the start, from table maps, from DDL as it passes."""

from collections.abc import Callable, Iterable

from cdc.binlog.history import effects
from cdc.binlog.history.context import Context, Outcome, Place, TableName
from cdc.binlog.history.observed import observed
from cdc.binlog.history.renames import read_pairs
from cdc.binlog.history.renaming import move
from cdc.binlog.history.tokens import Reader, head, words
from cdc.binlog.history.work import Work
from cdc.model.errors import NotUnderstood
from cdc.model.schema import TableSchema
from cdc.model.table_version import TableVersion

_NOTHING = Outcome([], [])


class History:
    """The newest version of each table that is captured or may take a captured one's place. Not thread-safe; no I/O.

    `captured`: of (db, table). `folds_names`: the server compares table names in lower case (lower_case_table_names). `versions`:
    those that hold where reading begins, in the order of their places; of several for a table the last one counts.
    """

    def __init__(
        self, captured: Callable[[str, str], bool], folds_names: bool, versions: Iterable[TableVersion] = ()
    ) -> None:
        self._captured = captured
        self._folds = folds_names
        self._versions: dict[TableName, TableVersion] = {self._fold(each.db, each.table): each for each in versions}

    def version(self, db: str, table: str) -> TableVersion | None:
        """As of now; None, or a version without a schema: not known, or gone."""
        return self._versions.get(self._fold(db, table))

    def _fold(self, db: str, table: str) -> TableName:
        return (db.lower(), table.lower()) if self._folds else (db, table)

    def observe(self, schema: TableSchema, place: Place) -> TableVersion | None:
        """A table map with full metadata: a new version where it differs from what was known, to be stored like the others."""
        made = observed(self.version(schema.db, schema.table), schema, place)
        if made is not None:
            self._versions[self._fold(schema.db, schema.table)] = made
        return made

    def statement(self, sql: str, context: Context) -> Outcome:
        """Raises NotUnderstood, with the table, where it cannot be told what the statement does to a captured one; then nothing
        has changed here. Statements that are no DDL of tables or databases amount to nothing."""
        if context.session.unfinished:
            return _NOTHING
        work = Work(self._versions, self._captured, self._folds, context, sql)
        if _creates_for_others(work, sql):
            return _NOTHING
        try:
            _apply(work, Reader(words(sql, context.sql_mode, context.flavor)))
        except (LookupError, ValueError) as error:
            raise NotUnderstood(
                f"a statement on tables is not understood: {error.args[0] if error.args else error}",
                hint="if it leaves the captured tables as they are, `cdc replay --from` the position behind it passes it over",
            ) from error
        return work.keep()


def _creates_for_others(work: Work, sql: str) -> bool:
    """Whether it is a long CREATE TABLE of a table that does not matter: most of the DDL of a busy server."""
    first = head(sql, work.context.sql_mode, work.context.flavor)
    if not first:
        return False
    reader = Reader(first)
    try:
        reader.expect("CREATE")
        reader.skip("OR", "REPLACE")
        reader.expect("TABLE")
        reader.skip("IF", "NOT", "EXISTS")
        name = reader.name(work.context.db)
    except LookupError:
        return False
    return not reader.ended and not work.concerns(work.fold(name))


def _apply(work: Work, reader: Reader) -> None:
    match reader.peek():
        case "CREATE":
            reader.take()
            _create(work, reader)
        case "ALTER":
            reader.take()
            _alter(work, reader)
        case "DROP":
            reader.take()
            _drop(work, reader)
        case "RENAME":
            reader.take()
            if reader.peek() in {"TABLE", "TABLES"}:
                move(work, read_pairs(reader, work.context.db))


def _create(work: Work, reader: Reader) -> None:
    start = reader.at
    replaces = reader.skip("OR", "REPLACE")
    if reader.skip_any("DATABASE", "SCHEMA"):
        effects.database(work, reader, creates=True, replaces=replaces)
        return
    word = reader.peek()
    reader.at = start
    if word == "TABLE":
        effects.create_table(work, reader)
    elif word in {"INDEX", "UNIQUE", "FULLTEXT", "SPATIAL", "VECTOR"}:
        effects.create_index(work, reader)


def _alter(work: Work, reader: Reader) -> None:
    if reader.skip_any("DATABASE", "SCHEMA"):
        effects.database(work, reader, creates=False)
    elif reader.peek() in {"TABLE", "ONLINE", "IGNORE"}:
        effects.alter_table(work, reader)


def _drop(work: Work, reader: Reader) -> None:
    if reader.skip_any("TABLE", "TABLES"):
        effects.drop_table(work, reader)
    elif reader.skip_any("DATABASE", "SCHEMA"):
        effects.drop_database(work, reader)
    elif reader.skip("INDEX"):
        effects.drop_index(work, reader)
