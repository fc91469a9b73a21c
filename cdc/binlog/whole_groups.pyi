from typing import Any, NamedTuple

class Group(NamedTuple):
    following: int
    number: int
    start: int
    end: int
    timestamp: int
    server_id: int
    gtid: str
    commit_us: int | None
    thread: int | None
    rows: list[tuple[Any, int, int, int, int]]

class WholeGroups:
    def __init__(self, tables: dict[bytes, Any], texts: bool) -> None: ...
    def next(
        self, buffer: memoryview, start: int, end: int, number: int, offset: int, post_header: int
    ) -> Group | None: ...
