from array import array
from collections.abc import Sequence

from cdc.model.packed import PackedMessages
from cdc.model.stretch import Stretch

class StretchTexts:
    def __init__(
        self,
        head: bytes,
        file: bytes,
        source_id: bytes,
        behind_schema: bytes,
        behind_count: bytes,
        behind_op: bytes,
        generation: int,
        file_number: int,
        tables: Sequence[tuple[bytes, bytes]],
    ) -> None: ...

class OpenTransaction:
    def __init__(self, gtid: bytes, thread: bytes, id: bytes, start: int, commit_us: int, server_id: int) -> None: ...

def add_stretch(
    messages: PackedMessages,
    stretch: Stretch,
    texts: StretchTexts,
    begun: OpenTransaction | None,
    counts: array[int],
    lanes: list[array[int]],
    wholes: array[int],
    groups: array[int],
    orders: array[int],
    total: int,
) -> int: ...
