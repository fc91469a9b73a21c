"""One statement's work on what is known of the tables: seen by the statement at once, kept only if all of it is understood."""

from collections.abc import Callable

from cdc.binlog.history.context import Context, Outcome, TableName
from cdc.binlog.history.renames import ghost_of
from cdc.model.errors import NotUnderstood
from cdc.model.schema import TableSchema
from cdc.model.schema_change import SchemaChange, Step
from cdc.model.table_version import TableVersion

DATABASE = ""
"""The table's name under which a database's own version is: `collation` is its default."""


class Work:
    """`versions`: the newest of each table; a new one goes to `made` until `keep`."""

    def __init__(
        self,
        versions: dict[TableName, TableVersion],
        captured: Callable[[str, str], bool],
        folds_names: bool,
        context: Context,
        sql: str,
    ) -> None:
        self._versions = versions
        self._captured = captured
        self._folds = folds_names
        self.context = context
        self.sql = sql
        self.made: dict[TableName, TableVersion] = {}
        self.changes: list[SchemaChange] = []

    def keep(self) -> Outcome:
        self._versions.update(self.made)
        return Outcome(self.changes, list(self.made.values()))

    def fold(self, name: TableName) -> TableName:
        return (name[0].lower(), name[1].lower()) if self._folds else name

    def captured(self, name: TableName) -> bool:
        return self._captured(*name)

    def ghost_of(self, name: TableName) -> TableName | None:
        """The captured table whose copy this one is, by its name."""
        table = ghost_of(name)
        return table if table is not None and self.captured(table) and not self.captured(name) else None

    def concerns(self, name: TableName) -> bool:
        return self.captured(name) or self.known(name) is not None or self.ghost_of(name) is not None

    def version(self, name: TableName) -> TableVersion | None:
        return self.made.get(name) or self._versions.get(name)

    def known(self, name: TableName) -> TableVersion | None:
        found = self.version(name)
        return None if found is None or found.schema is None else found

    def is_there(self, name: TableName) -> bool | None:
        """None: not known. With a version of its database there was a baseline, and no table is unknown."""
        if self.version(name) is None:
            return None if self.version((name[0], DATABASE)) is None else False
        return self.known(name) is not None

    def collation(self, db: str) -> str | None:
        found = self.version((db, DATABASE))
        return None if found is None else found.collation

    def put(self, version: TableVersion) -> None:
        name = (version.db, version.table)
        old = self.version(name)
        if old is None or _content(old) != _content(version):
            self.made[name] = version

    def gone(self, name: TableName) -> None:
        if self.known(name) is not None:
            self.put(TableVersion(*self.context.place, *name, schema=None))

    def tables_of(self, db: str) -> list[TableName]:
        """The known ones, sorted."""
        names = {name for name in (*self._versions, *self.made) if name[0] == db and name[1] != DATABASE}
        return sorted(name for name in names if self.known(name) is not None)

    def changed(
        self,
        kind: str,
        name: TableName,
        *,
        steps: tuple[Step, ...] = (),
        schema: TableSchema | None = None,
        to: TableName | None = None,
    ) -> None:
        self.changes.append(SchemaChange(kind, *name, steps, schema, to, self.sql))  # type: ignore[arg-type]


def _content(version: TableVersion) -> tuple[object, ...]:
    """Indexes in their order, which decides between unique keys."""
    indexes = None if version.indexes is None else [*version.indexes.items()]
    lineage = version.origin, version.steps
    return version.schema, version.defaults, version.collation, *lineage, version.virtual, indexes


def not_understood(name: TableName, what: str, hint: str = "") -> NotUnderstood:
    return NotUnderstood(
        f"table {name[0]}.{name[1]}: {what}",
        hint=hint
        or "make the target's table, or copy it, by hand to what the source has behind this statement, then "
        "`cdc replay --from` the position behind it; or exclude the table",
    )
