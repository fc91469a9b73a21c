"""Which lanes the change events of a table go to, worked out once for each table."""

from array import array
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Sequence as Many
from dataclasses import dataclass
from typing import NamedTuple

from cdc.model.change import Value, lane_json
from cdc.model.routing import key_hasher, lane_name, lane_number, matches


@dataclass(frozen=True, slots=True)
class Routing:
    """How a connector spreads its change events over lanes.

    `lanes` partitions; `topic` a template with {db}, {table} where each table has a topic of its own, else None; `by_table`
    patterns of tables that go whole into one lane, in addition to those that the checkpoint names.
    """

    connector: str
    flavor: str
    lanes: int
    topic: str | None = None
    by_table: tuple[str, ...] = ()

    def static_lanes(self) -> list[str]:
        return [] if self.topic else [lane_name(None, number) for number in range(self.lanes)]

    def table_lanes(self, db: str, table: str) -> list[str]:
        return [self.lane(db, table, number) for number in range(self.lanes)] if self.topic else []

    def lane(self, db: str, table: str, number: int) -> str:
        topic = self.topic and self.topic.format(name=self.connector, db=db, table=table)
        return lane_name(topic, number)


class Spread(NamedTuple):
    """A table's lanes: by what a key's hash gives, the lane's number, or -1 where it is not open yet. `whole`: the place in it
    where the whole table goes, or -1. `names` and `texts` (the names as JSON) are in the order of `numbers`; `hashed` is the
    hash of a key."""

    numbers: "array[int]"
    whole: int
    names: Many[str]
    texts: Many[bytes]
    hashed: Callable[[Iterable[Value]], int]


class Spreads:
    """`by_table`: tables, as db.table, that go whole into one lane; `numbers`: of the lanes that are open, by name."""

    def __init__(self, routing: Routing, by_table: Iterable[str], numbers: Mapping[str, int]) -> None:
        self._routing = routing
        self._by_table = frozenset(by_table)
        self._numbers = numbers
        self._known: dict[tuple[str, str], Spread] = {}

    def of(self, db: str, table: str) -> Spread:
        spread = self._known.get((db, table))
        if spread is None:
            lanes = self._routing.lanes
            names = [self._routing.lane(db, table, number) for number in range(lanes)]
            whole = lane_number(db, table, (), lanes) if lanes == 1 or self._is_whole(f"{db}.{table}") else -1
            spread = self._known[db, table] = Spread(
                array("i", [self._numbers.get(name, -1) for name in names]),
                whole,
                names,
                [lane_json(name) for name in names],
                key_hasher(db, table),
            )
        return spread

    def forget(self) -> None:
        """A lane has been opened."""
        self._known.clear()

    def _is_whole(self, name: str) -> bool:
        return name in self._by_table or matches(self._routing.by_table, name)
