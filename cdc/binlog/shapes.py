"""Which versions of the schema history hold at a place: pure functions of versions and of what statements named."""

from collections.abc import Iterable
from dataclasses import replace

from cdc.binlog.history.context import TableName
from cdc.model.checkpoint import SourcePoint
from cdc.model.position import file_number
from cdc.model.table_version import TableVersion


def shapes_at(point: SourcePoint, known: Iterable[TableVersion]) -> list[TableVersion]:
    """The latest version of each table at or before `point`; places of other servers cannot be compared."""
    at = (file_number(point.file), point.offset)
    latest: dict[TableName, TableVersion] = {}
    for version in known:
        if version.source_id != point.source_id or (version.file, version.offset) > at:
            continue
        name = (version.db, version.table)
        if name not in latest or (version.file, version.offset) >= (latest[name].file, latest[name].offset):
            latest[name] = version
    return list(latest.values())


def unaltered(
    present: Iterable[TableVersion], altered: frozenset[TableName] | None, point: SourcePoint
) -> list[TableVersion]:
    """Of the shapes that the server has now, those that no statement since `point` can have changed, as of `point`.

    `altered`: what statements named, databases with table ""; None: nobody knows, so none is certain.
    """
    if altered is None:
        return []
    named = {(db.lower(), table.lower()) for db, table in altered}
    return [
        replace(version, file=file_number(point.file), offset=point.offset)
        for version in present
        if (version.db.lower(), version.table.lower()) not in named and (version.db.lower(), "") not in named
    ]
