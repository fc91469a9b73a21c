"""Schema changes at the memory target. There are no types: only names change, and fills come."""

from collections.abc import Mapping

from cdc.model.batch import Key
from cdc.model.change import Row
from cdc.model.config import SinkConfig
from cdc.model.errors import TargetRefused
from cdc.model.schema_change import SchemaChange
from cdc.target.memory_store import MemoryStore, Overlay
from cdc.target.sql.names import shown, target_name
from cdc.target.sql.reshape import reshape


def change_schema(
    place: MemoryStore, overlay: Overlay, config: SinkConfig, change: SchemaChange, letters: set[int]
) -> None:
    """LaneWriter.change_schema, within `overlay`; `letters`: the dead letters of the table. The caller holds `place.changed`."""
    name = str(target_name(config.table, change.db, change.table))
    there = name in place.tables
    if change.kind == "create" and change.schema and change.schema.key and config.create_tables:
        overlay.tables.setdefault(name, {})
    elif change.kind == "drop":
        overlay.settled |= letters
        overlay.dropped |= {name} if there else set()
    elif change.kind == "rename" and change.to is not None:
        _rename(place, overlay, name, str(target_name(config.table, *change.to)))
        overlay.renamed |= dict.fromkeys(letters, change.to)
    elif change.kind == "alter" and there:
        overlay.tables[name] = {**_reshaped(name, place.tables[name], change)}
        overlay.emptied.add(name)


def _rename(place: MemoryStore, overlay: Overlay, name: str, new: str) -> None:
    if new == name or name not in place.tables:
        return
    if new in place.tables:
        raise TargetRefused(
            f"table {shown(name)} cannot become {shown(new)}: both are there",
            hint="drop or rename the one that is not the source's",
        )
    overlay.tables[new] = dict(place.tables[name])
    overlay.dropped.add(name)


def _reshaped(name: str, rows: Mapping[Key, Row], change: SchemaChange) -> dict[Key, Row]:
    """A table's rows after an `alter`. Raises TargetRefused like `reshape`, and where the new key does not tell rows apart."""
    names = dict.fromkeys(column for row in rows.values() for column in row)
    if not rows:
        return {}
    reshaped = reshape(name, names, change.steps, str)
    fills = {column.name: fill for column, fill in change.fills()}
    made: dict[Key, Row] = {}
    for old_key, row in rows.items():
        new: Row = {}
        for place in reshaped.places:
            if place.origin is None:
                new[place.name] = place.fill
            elif place.origin in row:
                new[place.name] = row[place.origin]
            if change.again and new.get(place.name) is None:
                new[place.name] = fills.get(place.name)
        made[tuple(new.get(column) for column in reshaped.key) if reshaped.key else old_key] = new
    if len(made) < len(rows):
        raise TargetRefused(
            f"the key of table {shown(name)} cannot follow the source's: two rows have the same",
            hint="copy the table anew (cdc snapshot)",
        )
    return made
