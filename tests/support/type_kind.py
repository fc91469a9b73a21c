"""One type of a column as data; `tests.support.type_space` lists them all."""

from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from cdc.model.change import Value
from cdc.model.schema import Column

Literals = Callable[[Random], str]


@dataclass(frozen=True)
class Kind:
    """`server`: the only one that has the type; "" = both. `told_by_history`: the binlog alone does not tell the type."""

    name: str
    definition: str
    edges: Sequence[str]
    random: Literals
    column: Column
    select: str = "{c}"
    render: Callable[[str], Value] = str
    server: str = ""
    told_by_history: bool = False

    def column_named(self, name: str) -> Column:
        return replace(self.column, name=name)


def base64(raw: bytes) -> str:
    return b64encode(raw).decode("ascii")


def of_type(name: str, **more: Any) -> Column:
    return Column("", name, **more)
