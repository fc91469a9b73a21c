"""Which tables, and which rows of them, somebody asked for: `--table` and `--key` of commands that look back. Pure."""

import json
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cdc.model.change import Row, Value
from cdc.model.errors import UsageError
from cdc.model.routing import matches

_HINT = """write it as the value of a key of one column, or as JSON: '{"id": 5, "place": "a"}', or '[5, "a"]' in key order"""


@dataclass(frozen=True, slots=True)
class WantedKey:
    """`values` as JSON has them, decimals and floats as their text; by `names`, or, where there are none, in key order."""

    values: tuple[Any, ...]
    names: tuple[str, ...] = ()

    def is_of(self, key: Row) -> bool:
        """`key`: the key columns of a change event, in key order."""
        if len(self.values) != len(key):
            return False
        if not self.names:
            return all(map(_same, key.values(), self.values))
        return all(name in key and _same(key[name], value) for name, value in zip(self.names, self.values, strict=True))


def wanted_key(text: str) -> WantedKey:
    """Reads one `--key`: a JSON object or array, else the one column's value as it is. Raises UsageError."""
    if text.lstrip()[:1] not in ("{", "["):
        return WantedKey((text,))
    try:
        read = json.loads(text, parse_float=str, parse_constant=str)
    except ValueError as error:
        raise UsageError(f"--key is not JSON: {error}", hint=_HINT) from None
    values = tuple(read.values()) if isinstance(read, dict) else tuple(read)
    if not values or any(value is None or isinstance(value, dict | list) for value in values):
        raise UsageError("--key has a value that no key has: null, an object, an array, or nothing at all", hint=_HINT)
    return WantedKey(values, tuple(read) if isinstance(read, dict) else ())


def _same(value: Value, wanted: Any) -> bool:
    """As a change event has it; bytes (base64 there) also as 0x and hex digits."""
    if isinstance(value, float):
        try:
            return value == float(wanted)
        except (TypeError, ValueError):
            return False
    text = str(value)
    if isinstance(wanted, bool):
        wanted = int(wanted)
    if isinstance(wanted, str) and wanted[:2] in ("0x", "0X") and isinstance(value, str):
        return text == wanted or _hex(text) == wanted[2:].lower()
    return text == str(wanted)


def _hex(text: str) -> str | None:
    try:
        return b64decode(text, validate=True).hex()
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Choice:
    """`tables`: patterns of `db.table`, none: all. `keys`: none: all rows; else a row that has one of them, before its change or
    after it."""

    tables: Sequence[str] = ()
    keys: Sequence[WantedKey] = ()

    @property
    def is_all(self) -> bool:
        return not self.tables and not self.keys

    def has_table(self, db: str, table: str) -> bool:
        return not self.tables or matches(self.tables, f"{db}.{table}")

    def has_row(self, *keys: Row) -> bool:
        """`keys`: of one row, which is in a chosen table."""
        return not self.keys or any(wanted.is_of(key) for wanted in self.keys for key in keys)


def choice(tables: Sequence[str], keys: Sequence[str]) -> Choice:
    """From the options as they were given; raises UsageError."""
    for pattern in tables:
        if "." not in pattern or pattern.startswith("!"):
            raise UsageError(f"--table {pattern} is not db.table", hint="write it like shop.orders, or with * and ?")
    return Choice(tuple(tables), tuple(map(wanted_key, keys)))
