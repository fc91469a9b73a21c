"""Which table maps are captured, and their rows as drafts. The table maps of other tables cost one look into a dict."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from cdc.binlog.decoder.port import Decoder, TableMap, table_map_names
from cdc.binlog.decoder.projection import Projection
from cdc.binlog.projected_change import ChangeProjection
from cdc.model.change import Draft
from cdc.model.config import SourceConfig
from cdc.model.routing import TableFilter, matches
from cdc.model.schema import TableSchema
from cdc.model.table_version import TableVersion

_MOST_KEPT = 2000  # a map's id is part of its body: a server that opens tables anew makes new bodies for ever


class CapturedTable(NamedTuple):
    """A table version: its map, what leaves of it, and the name of that."""

    map: TableMap
    projection: Projection
    fingerprint: str


class Capture:
    """Table maps by their bytes, kept over transactions: the same table sends the same bytes each time.

    `known`: the table maps by their bodies, one and the same dictionary all along. `version`: what the schema history knows of a
    table at this place. `unseen` gathers the shapes that table maps have told since it was emptied last.
    """

    def __init__(self, config: SourceConfig, decoder: Decoder) -> None:
        self.filter = TableFilter(config.tables)
        self.version: Callable[[str, str], TableVersion | None] = lambda db, table: None
        self.unseen: list[TableSchema] = []
        self._config = config
        self._decoder = decoder
        self.decoder_name = decoder.name
        self._salt = config.mask_salt.get_secret_value().encode() if config.mask_salt else b""
        self.known: dict[bytes, CapturedTable | None] = {}
        self._shown: set[str] = set()
        self.projected = ChangeProjection(config.exclude_columns, config.mask_columns, self._salt)

    def table(self, body: memoryview) -> tuple[int, CapturedTable | None]:
        """(table id, the captured table or None) of a table map event. Raises what decoder and projection raise."""
        key = bytes(body)
        if key in self.known:
            return int.from_bytes(key[:6], "little"), self.known[key]
        table_id, db, table = table_map_names(body)
        captured = None
        if self.filter(db, table):
            version = self.version(db, table)
            table_map = self._decoder.table_map(memoryview(key), None if version is None else version.schema)
            self.unseen.append(table_map.schema)
            projection = self._projection(table_map.schema, version)
            captured = CapturedTable(table_map, projection, projection.schema.fingerprint())
        if len(self.known) >= _MOST_KEPT:
            self.known.clear()
        self.known[key] = captured
        return table_id, captured

    def forget(self) -> None:
        """Tables have other shapes from here on: the same bytes may mean another thing."""
        self.known.clear()

    def _projection(self, schema: TableSchema, version: TableVersion | None) -> Projection:
        config = self._config
        defaults = None if version is None else version.defaults
        virtual = _virtual(schema, version)
        return Projection(schema, config.exclude_columns, config.mask_columns, self._salt, defaults, virtual)

    def drafts(self, kind: int, body: memoryview, table: CapturedTable) -> Sequence[Draft]:
        return self._decoder.changes(kind, body, table.map, table.projection)

    def encoding(self, table: CapturedTable) -> Any:
        """See Decoder.encoding."""
        return self._decoder.encoding(table.map, table.projection)

    def new_schemas(self, table: CapturedTable) -> Sequence[TableSchema]:
        """The table's schema where this stream has not shown it before."""
        if table.fingerprint in self._shown:
            return ()
        self._shown.add(table.fingerprint)
        return (table.projection.schema,)

    def in_database(self, db: str) -> bool:
        """Whether tables of the database may be captured, whatever their names."""
        included = (pattern.partition(".")[0] for pattern in self._config.tables if not pattern.startswith("!"))
        return matches(included, db)


def _virtual(schema: TableSchema, version: TableVersion | None) -> tuple[str, ...] | None:
    """None: it cannot be told, as of columns that the version does not know."""
    if version is None or version.schema is None or version.virtual is None:
        return None
    known = {column.name for column in version.schema.columns}
    return version.virtual if known.issuperset(column.name for column in schema.columns) else None
