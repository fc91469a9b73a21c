from collections.abc import Callable
from typing import Any, NamedTuple

from cdc.binlog.decoder.compiled import Encoding
from cdc.model.stretch import Stretch

class Found(NamedTuple):
    stretch: Stretch
    following: int
    number: int
    offset: int
    boundary: int | None
    maps: list[tuple[int, Any]]

class Stretches:
    def __init__(
        self, known: dict[bytes, Any], encoding_of: Callable[[Any], Encoding | None], texts: bool, leaves_out_ends: bool
    ) -> None: ...
    def next(
        self,
        buffer: memoryview,
        start: int,
        end: int,
        number: int,
        offset: int,
        post_header: int,
        open_maps: dict[int, Any] | None,
    ) -> Found | None: ...
