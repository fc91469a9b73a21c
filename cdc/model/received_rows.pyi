from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, overload

from cdc.model.batch import TableBatch
from cdc.model.change import Change, Row
from cdc.model.schema import TableSchema

class ReceivedRows(Sequence[Row]):
    @property
    def names(self) -> tuple[str, ...]: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Row]: ...
    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...
    def json_array(self) -> bytes: ...
    def copy_text(
        self, written: Sequence[int], converters: Mapping[int, Callable[[Any], Any]], binary: Collection[int]
    ) -> bytes: ...
    def mysql_values(
        self,
        start: int,
        written: Sequence[int],
        encoders: list[str | Callable[[Any], str]],
        max_bytes: int,
        max_count: int,
    ) -> tuple[bytes, int]: ...
    def mysql_parameters(
        self, start: int, count: int, written: Sequence[int], kinds: list[str], max_bytes: int
    ) -> bytes | None: ...

def compact_received(
    changes: list[Change], schema_of: Callable[[str], TableSchema], upsert: bool
) -> list[TableBatch] | None: ...
