"""What others ask of the reader about the tables' present rows, and its answers, as JSON through the coordination."""

from dataclasses import dataclass
from typing import Any, Literal

import orjson

from cdc.model.batch import Key
from cdc.model.errors import UsageError

COPY_WAITS = "copy.waits"
"""The mark that says why no more is read now, "" where nothing holds the copy up."""

Kind = Literal["copy", "keys", "pause", "resume", "cancel"]
_KINDS = ("copy", "keys", "pause", "resume", "cancel")


@dataclass(frozen=True, slots=True)
class CopyRequest:
    """copy: all rows of `tables` (db.table), of which `where` holds; keys: the rows of the one table with `keys`, or that they
    are not there; cancel: of these tables; pause and resume: of all."""

    kind: Kind
    tables: tuple[str, ...] = ()
    where: str = ""
    keys: tuple[Key, ...] = ()

    def to_json(self) -> str:
        return orjson.dumps(self).decode()

    @classmethod
    def from_json(cls, text: str) -> "CopyRequest":
        """Raises UsageError for what is none."""
        try:
            raw: dict[str, Any] = orjson.loads(text)
            if raw["kind"] not in _KINDS:
                raise ValueError(raw["kind"])
            return cls(raw["kind"], tuple(raw["tables"]), raw["where"], tuple(tuple(key) for key in raw["keys"]))
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            raise UsageError(
                f"a request to the reader is not understood ({type(error).__name__})",
                hint="use commands of the same version as the reader",
            ) from None


@dataclass(frozen=True, slots=True)
class CopyAnswer:
    """`problem`: why nothing was done, "" where it was. Of keys: they were sent at (`generation`, `file` number, `offset`);
    `rows` of them are there and `deleted` are not; all others were changed in the stream meanwhile."""

    problem: str = ""
    generation: int = 0
    file: int = 0
    offset: int = 0
    rows: int = 0
    deleted: int = 0

    def to_json(self) -> str:
        return orjson.dumps(self).decode()

    @classmethod
    def from_json(cls, text: str) -> "CopyAnswer":
        return cls(**orjson.loads(text))


def split_name(name: str) -> tuple[str, str]:
    """db and table of `db.table`; a table's name may have a dot."""
    db, _, table = name.partition(".")
    return db, table
