"""What leaves the source: excluded columns dropped, masked ones hashed, rows turned into drafts."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson

from cdc.binlog.decoder.rows import ABSENT, DecodedRow, PartialValues, Values
from cdc.model.change import Draft, Row, Value
from cdc.model.errors import NotUnderstood, TableRefused
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


def masked_column(column: Column) -> Column:
    return Column(column.name, "char", length=64, charset="ascii", collation="ascii_bin", nullable=column.nullable)


class Projection:
    """From the decoder's rows of one table version to drafts. Made once for each table map; thread-safe.

    `exclude` and `mask` are patterns for `db.table.column` (`*`, `?`). `defaults`: by column, what an inserted row has in it
    whose image lacks the column, as a change event shows it; a column that is not in it has none that could be known.
    `unlogged`: columns that an image of MariaDB may lack though they changed (virtual generated ones); None: not known which.
    Raises TableRefused for a table without primary key, and for an excluded key column. `schema` is what is published downstream;
    `kept`: the places of its columns in the table; `masked`: the names of those of which `hash` takes the place. `encoding` is
    the compiled decoder's, and nobody else's.
    """

    encoding: Any = None

    def __init__(
        self,
        schema: TableSchema,
        exclude: Iterable[str],
        mask: Iterable[str],
        salt: bytes,
        defaults: Mapping[str, Value] | None = None,
        unlogged: Iterable[str] | None = None,
    ) -> None:
        _require_key(schema)
        exclude, mask = tuple(exclude), tuple(mask)
        kept = [n for n, column in enumerate(schema.columns) if not matches(exclude, f"{schema.name}.{column.name}")]
        masked = {n for n in kept if matches(mask, f"{schema.name}.{schema.columns[n].name}")}
        columns = [masked_column(schema.columns[n]) if n in masked else schema.columns[n] for n in kept]
        names = tuple(column.name for column in columns)
        _require_key_columns(schema, names)
        self.schema = replace(schema, columns=tuple(columns))
        self._fingerprint = self.schema.fingerprint()
        self._key_in = _key_in(schema.key)
        self._names = names
        self.kept = tuple(kept)
        self._key_places = tuple(n for n, column in enumerate(schema.columns) if column.name in schema.key)
        self.masked = tuple(name for n, name in zip(kept, names, strict=True) if n in masked)
        self.hash = hasher(salt)
        self._defaults = dict(defaults or {})
        self._unlogged_known = unlogged is not None
        # No key has a virtual column.
        unlogged = [name for name in names if name not in schema.key] if unlogged is None else [*unlogged]
        self._unlogged = tuple((name, n) for name, n in zip(names, kept, strict=True) if name in unlogged)
        changes_nothing = len(kept) == len(schema.columns) and not masked
        self._row = self._whole if changes_nothing else self._projected

    def drafts(self, rows: Sequence[DecodedRow], *, mariadb_update: bool = False) -> list[Draft]:
        """One draft for each row of one rows event, in order; an update that changes the key makes two, `d` of the old, `c` of
        the new. A column that the images do not tell is in neither `before` nor `after`.

        `mariadb_update`: MariaDB logged them as an update. It may be a REPLACE, without the columns that it put back to their
        defaults; and its images lack virtual generated columns that changed with others. Raises NotUnderstood, naming table and
        columns, where a row must be told whole and its image lacks columns: a create without a known default for them, an
        update that changes the key, what may be a REPLACE, or may have changed in a virtual column."""
        if rows and (type(rows[0][1]) is PartialValues or type(rows[0][2]) is PartialValues):
            return [draft for row in rows for draft in self._drafts_of_partial(row, mariadb_update)]
        drafts: list[Draft] = []
        add, new_tuple = drafts.append, tuple.__new__  # a NamedTuple's own constructor takes twice as long
        db, table, schema, key_of, row_of = (
            self.schema.db,
            self.schema.table,
            self._fingerprint,
            self._key_in,
            self._row,
        )
        for op, old, new in rows:
            before = None if old is None else row_of(old)
            after = None if new is None else row_of(new)
            key = key_of(after if before is None else before)  # type: ignore[arg-type] # each operation has one image at least
            if before is not None and after is not None and (new_key := key_of(after)) != key:
                add(Draft("d", db, table, schema, key, before, None))
                add(Draft("c", db, table, schema, new_key, None, after))
            else:
                add(new_tuple(Draft, (op, db, table, schema, key, before, after)))
        return drafts

    def _drafts_of_partial(self, row: DecodedRow, mariadb_update: bool) -> Iterator[Draft]:
        """An update's after image lacks what it did not change: that is as the before image has it, or not told. Of a REPLACE
        it has the key, which a minimal image of an UPDATE has only where the statement sets it."""
        op, old, new = row
        db, table, schema = self.schema.db, self.schema.table, self._fingerprint
        before = None if old is None else self._told(old)
        if new is None:
            yield Draft(op, db, table, schema, self._told_key(before), before, None)
        elif old is None:
            after = self._told(self._with_defaults(new))
            self._require(self._names, after, "an inserted row has columns whose values the binlog does not hold")
            yield Draft(op, db, table, schema, self._key_of(after), None, after)
        else:
            after = self._told(tuple([had if has is ABSENT else has for had, has in zip(old, new, strict=True)]))
            if mariadb_update:
                self._require_virtual(new)
                if self._has_key(new):
                    self._require(
                        self._names, after, "a row was updated, or replaced with columns back at their defaults"
                    )
            key, new_key = self._told_key(before), self._told_key(after)
            if key == new_key:
                yield Draft(op, db, table, schema, key, before, after)
                return
            self._require(self._names, after, "a row changed its key, and the binlog does not hold all of its columns")
            yield Draft("d", db, table, schema, key, before, None)
            yield Draft("c", db, table, schema, new_key, None, after)

    def _told(self, values: Values) -> Row:
        """The columns that are there, projected."""
        row: Row = {}
        for name, index in zip(self._names, self.kept, strict=True):
            value = values[index]
            if value is not ABSENT:
                row[name] = self.hash(value) if name in self.masked else value
        return row

    def _has_key(self, values: Values) -> bool:
        return all(values[index] is not ABSENT for index in self._key_places)

    def _with_defaults(self, values: Values) -> Values:
        filled = list(values)
        for name, index in zip(self._names, self.kept, strict=True):
            if filled[index] is ABSENT and name in self._defaults:
                filled[index] = self._defaults[name]
        return tuple(filled)

    def _told_key(self, row: Row | None) -> Row:
        assert row is not None  # noqa: S101 - every operation has one image at least
        self._require(self.schema.key, row, "a row's image lacks columns of its key")
        return self._key_of(row)

    def _require_virtual(self, new: Values) -> None:
        """In the after image itself: that a before image has such a column (FULL_NODUP) says nothing of what it is now."""
        missing = [name for name, index in self._unlogged if new[index] is ABSENT]
        if missing and self._unlogged_known:
            raise self._not_told(
                "a row may have changed in virtual generated columns that the binlog does not hold", missing, _EXCLUDE
            )
        if missing:
            raise self._not_told(
                "which columns are virtual generated ones, which may have changed unseen, is not known", missing
            )

    def _require(self, names: Sequence[str], row: Row, what: str) -> None:
        missing = [name for name in names if name not in row]
        if missing:
            raise self._not_told(what, missing)

    def _not_told(self, what: str, missing: Sequence[str], else_do: str = "") -> NotUnderstood:
        return NotUnderstood(
            f"table {self.schema.name}: {what} (missing: {', '.join(missing)}), as it was written with "
            "binlog_row_image MINIMAL or NOBLOB",
            hint="SET GLOBAL binlog_row_image=FULL at the source, let its sessions reconnect, start reading behind that, and "
            f"take the table over anew{else_do}",
        )

    def _whole(self, values: Values) -> Row:
        # Not strict, which takes half as long again: it has all columns. Rows with ABSENT go another way.
        return dict(zip(self._names, values))  # type: ignore[arg-type] # noqa: B905

    def _projected(self, values: Values) -> Row:
        row = self._whole(tuple([values[index] for index in self.kept]))
        for name in self.masked:
            row[name] = self.hash(row[name])
        return row

    def _key_of(self, row: Row | None) -> Row:
        assert row is not None  # noqa: S101 - every operation has one image at least
        return self._key_in(row)


def _key_in(names: Sequence[str]) -> Callable[[Row], Row]:
    """From a row to its key."""
    if len(names) == 1:
        (only,) = names
        return lambda row: {only: row[only]}
    return lambda row: {name: row[name] for name in names}


_EXCLUDE = "; or leave the columns out (`exclude_columns`)"


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
        found = schema.column(column)
        if found.type == "enum" and "" in found.members:
            raise TableRefused(
                f"column {schema.name}.{column} is in the primary key, and is an ENUM with the member '': that and the refused "
                "value, number 0, have one text, so two rows would be one",
                hint=f"rename the member (ALTER TABLE {schema.name} MODIFY {column} …), or exclude the table from `tables`",
            )
