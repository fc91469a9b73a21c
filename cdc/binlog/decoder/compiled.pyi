from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum

from cdc.binlog.decoder.port import TableMap
from cdc.model.encoded import EncodedRows

class Kind(IntEnum):
    PYTHON = 0
    SIGNED = 1
    UNSIGNED = 2
    YEAR = 3
    BITS = 4
    DECIMAL = 5
    FLOAT = 6
    DOUBLE = 7
    DATE = 8
    TIME = 9
    DATETIME = 10
    TIMESTAMP = 11
    UTF8 = 12
    ONE_BYTE = 13
    BASE64 = 14
    ENUM = 15
    SET = 16
    JSON = 17

class GivenUp(ValueError): ...

class Encoding:
    table: TableMap
    def __init__(
        self,
        table: TableMap,
        db: str,
        table_name: str,
        fingerprint: str,
        columns: Sequence[tuple[int, int, int, Sequence[bytes], bool, bool]],
        names: Sequence[bytes],
        key: Sequence[int],
        readers: Mapping[int, Callable[[bytes, int], tuple[bytes, int]]],
    ) -> None: ...
    def rows(self, event_type: int, body: bytes | memoryview) -> EncodedRows | None: ...

def float_text(number: float) -> bytes: ...
