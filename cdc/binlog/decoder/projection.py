"""What leaves the source: excluded columns dropped, masked ones hashed, rows turned into drafts."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import orjson

from cdc.binlog.decoder.port import DecodedRow, Values
from cdc.model.change import Draft, Row, Value
from cdc.model.errors import TableRefused
from cdc.model.routing import matches
from cdc.model.schema import Column, TableSchema

Hasher = Callable[[Value], Value]


def canonical(value: Value) -> bytes:
    """What a mask hashes: text as UTF-8, every other value as its JSON."""
    return value.encode() if isinstance(value, str) else orjson.dumps(value)


def hasher(salt: bytes) -> Hasher:
    """Hex SHA-256 of salt and value: equal values stay equal, so joins and keys still work. NULL stays NULL."""
    salted = hashlib.sha256(salt)

    def masked(value: Value) -> Value:
        if value is None:
            return None
        digest = salted.copy()
        digest.update(canonical(value))
        return digest.hexdigest()

    return masked


def _masked_column(column: Column) -> Column:
    return Column(column.name, "char", length=64, charset="ascii", collation="ascii_bin", nullable=column.nullable)


class Projection:
    """From the decoder's rows of one table version to drafts. Made once for each table map; thread-safe.

    `exclude` and `mask` are patterns for `db.table.column` (`*`, `?`). Raises TableRefused for a table without
    primary key, and for an excluded key column. `schema` is what is published downstream.
    """

    def __init__(self, schema: TableSchema, exclude: Iterable[str], mask: Iterable[str], salt: bytes) -> None:
        _require_key(schema)
        exclude, mask = tuple(exclude), tuple(mask)
        kept = [n for n, column in enumerate(schema.columns) if not matches(exclude, f"{schema.name}.{column.name}")]
        masked = {n for n in kept if matches(mask, f"{schema.name}.{schema.columns[n].name}")}
        columns = [_masked_column(schema.columns[n]) if n in masked else schema.columns[n] for n in kept]
        names = tuple(column.name for column in columns)
        _require_key_columns(schema, names)
        self.schema = replace(schema, columns=tuple(columns))
        self._fingerprint = self.schema.fingerprint()
        self._names = names
        self._kept = tuple(kept)
        self._masked = tuple(name for n, name in zip(kept, names, strict=True) if n in masked)
        self._hash = hasher(salt)
        changes_nothing = len(kept) == len(schema.columns) and not masked
        self._row = self._whole if changes_nothing else self._projected

    def drafts(self, rows: Iterable[DecodedRow]) -> list[Draft]:
        """One draft for each row, in order; an update that changes the key makes two, `d` of the old, `c` of the new."""
        drafts: list[Draft] = []
        add = drafts.append
        db, table, schema, key_of = self.schema.db, self.schema.table, self._fingerprint, self._key_of
        for op, old, new in rows:
            before = None if old is None else self._row(old)
            after = None if new is None else self._row(new)
            key = key_of(after if before is None else before)
            if before is not None and after is not None and (new_key := key_of(after)) != key:
                add(Draft("d", db, table, schema, key, before, None))
                add(Draft("c", db, table, schema, new_key, None, after))
            else:
                add(Draft(op, db, table, schema, key, before, after))
        return drafts

    def _whole(self, values: Values) -> Row:
        return dict(zip(self._names, values, strict=True))

    def _projected(self, values: Values) -> Row:
        row = self._whole(tuple([values[index] for index in self._kept]))
        for name in self._masked:
            row[name] = self._hash(row[name])
        return row

    def _key_of(self, row: Row | None) -> Row:
        assert row is not None  # noqa: S101 - every operation has one image at least
        return {name: row[name] for name in self.schema.key}


def _require_key(schema: TableSchema) -> None:
    if not schema.key:
        raise TableRefused(
            f"table {schema.name} has no primary key, so its rows cannot be told apart at the target",
            hint=f"give it one (ALTER TABLE {schema.name} ADD PRIMARY KEY …), or exclude it from `tables`",
        )


def _require_key_columns(schema: TableSchema, names: Sequence[str]) -> None:
    for column in schema.key:
        if column not in names:
            raise TableRefused(
                f"column {schema.name}.{column} is excluded, but belongs to the table's primary key",
                hint="mask it instead (`mask_columns`): equal keys have equal hashes",
            )
