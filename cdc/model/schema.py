"""One version of a table's shape, named by a hash of its content."""

import hashlib
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class Column:
    """One column as the binlog's own metadata describes it.

    `type` is MySQL's name in lower case without attributes: tinyint, smallint, mediumint, int, bigint, decimal,
    float, double, bit, year, date, time, datetime, timestamp, char, varchar, binary, varbinary, tinyblob, blob,
    mediumblob, longblob, tinytext, text, mediumtext, longtext, enum, set, json, vector, uuid, inet4, inet6, geometry, point,
    linestring, polygon, multipoint, multilinestring, multipolygon, geometrycollection.
    `length`: characters (char, varchar), bytes (binary, varbinary), bits (bit), dimensions (vector; None: not known).
    `precision`/`scale`: of a decimal; for time, datetime and timestamp `scale` counts the digits of the fraction.
    """

    name: str
    type: str
    unsigned: bool = False
    length: int | None = None
    precision: int | None = None
    scale: int | None = None
    charset: str | None = None
    collation: str | None = None
    members: tuple[str, ...] = ()
    nullable: bool = True


@dataclass(frozen=True, slots=True)
class TableSchema:
    """`key` lists the primary key's columns in key order; empty: the table has none."""

    db: str
    table: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    _fingerprint: str = field(default="", init=False, repr=False, compare=False)

    @property
    def name(self) -> str:
        return f"{self.db}.{self.table}"

    def to_json(self) -> bytes:
        content = {"db": self.db, "table": self.table, "columns": list(map(asdict, self.columns)), "key": self.key}
        return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)

    @classmethod
    def from_json(cls, text: bytes | str) -> "TableSchema":
        raw: dict[str, Any] = orjson.loads(text)
        columns = tuple(Column(**{**column, "members": tuple(column["members"])}) for column in raw["columns"])
        return cls(raw["db"], raw["table"], columns, tuple(raw["key"]))

    def fingerprint(self) -> str:
        """The first 16 hex digits of the SHA-256 of the canonical JSON: the schema's name on the wire. Asked for with every
        batch, computed once."""
        if not self._fingerprint:
            object.__setattr__(self, "_fingerprint", hashlib.sha256(self.to_json()).hexdigest()[:16])
        return self._fingerprint

    def column(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)
