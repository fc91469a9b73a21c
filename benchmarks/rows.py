"""The rows of a binlog by lane, as the bare loops and the looks at a target need them."""

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from benchmarks.children.lockstep_null import batches

BATCH_ROWS = 5_000
"""As many as a sink commits at once (its default)."""

Pair = tuple[int, int]


class Lanes(NamedTuple):
    """`files`: for each lane, a pickle of its rows (dicts) in batches. `first` and `last`: (id, k) of each lane's ends; `near`:
    of a row that has nine tenths of the lane before it."""

    files: Sequence[Path]
    first: Sequence[Pair]
    near: Sequence[Pair]
    last: Sequence[Pair]
    rows: int


def by_lane(job: dict[str, Any], folder: Path, name: str) -> Lanes:
    """Reads the binlog once, by the product's own routing. All rows have the columns id, k, c and pad."""
    lanes: dict[str, list[dict[str, Any]]] = {}
    for batch in batches(job):
        for message in batch:
            if message.key is not None:
                lanes.setdefault(message.lane, []).append(orjson.loads(message.value)["after"])
    files = []
    for lane, rows in sorted(lanes.items()):
        file = folder / f"{name}-{lane}.pickle"
        parts = [rows[start : start + BATCH_ROWS] for start in range(0, len(rows), BATCH_ROWS)]
        file.write_bytes(pickle.dumps(parts))
        files.append(file)
    first = [_pair(rows[0]) for _, rows in sorted(lanes.items())]
    near = [_pair(rows[len(rows) * 9 // 10]) for _, rows in sorted(lanes.items())]
    last = [_pair(rows[-1]) for _, rows in sorted(lanes.items())]
    return Lanes(files, first, near, last, sum(map(len, lanes.values())))


def _pair(row: dict[str, Any]) -> Pair:
    return row["id"], row["k"]
