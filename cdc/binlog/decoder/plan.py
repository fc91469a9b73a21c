"""What the plain Python decoder keeps for a table: one reader for each column."""

from collections.abc import Callable
from typing import NamedTuple

from cdc.binlog.decoder.facts import Layout
from cdc.model.change import Value

Reader = Callable[[bytes, int], tuple[Value, int]]
"""(all bytes of the event, where the value begins) → (the value, where the next begins).

May read short at the end of the bytes: the caller checks after each row that it ended inside them. Raises IndexError,
struct.error or ValueError, which the caller turns into errors with table and column."""


class Plan(NamedTuple):
    """`readers` in column order. `never_null`: a bit for each NOT NULL column, as in a row's bitmap of NULLs.

    `refusal`: why rows of this table cannot be read; readers are then not called. `only_mariadb`: the charsets are
    taken for what MariaDB would mean by them, so rows events that it does not write (version 2) cannot be read. `layout`:
    type codes and their metadata, of which the compiled decoder makes a plan of its own.
    """

    readers: tuple[Reader, ...]
    never_null: int
    refusal: str | None
    layout: Layout
    only_mariadb: bool = False
