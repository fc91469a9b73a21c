"""Where the reader would resume, and how far a lane was applied."""

from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from cdc.model.copies import NO_COPIES, Copies
from cdc.model.position import ORIGIN, FilePosition, Sequence


@dataclass(frozen=True, slots=True)
class SourcePoint:
    """A transaction's boundary at one server.

    `source_id` names the server (server_uuid; MariaDB: server_uid, else server_id). `gtid_set` is all that was executed
    before this point, as the server writes it, or "" where the server has no GTIDs. `file_created` is the timestamp
    (seconds) in the header of the file's format description event: it tells a reset server that re-uses file names.
    """

    source_id: str
    file: str
    offset: int
    gtid_set: str = ""
    file_created: int = 0

    @property
    def position(self) -> FilePosition:
        return FilePosition(self.file, self.offset)


@dataclass(frozen=True, slots=True)
class LaneCount:
    """How many change events went to a lane in this generation, and up to which sequence they are settled.

    `after` is only set by a recovery from the sinks' progress: change events of this lane at or below it were applied
    by every sink, and are neither sent nor counted again.
    """

    count: int = 0
    after: Sequence = ORIGIN


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The position from which the reader would resume, and all that makes its next messages deterministic.

    Reading starts at `point` (a transaction's boundary); change events at or below `after` are skipped: so a position inside
    a transaction is its start and what to skip, because a table map is valid only inside its transaction.
    `replay_until`: change events at or below it are marked as a replay (sinks then upsert what they do not find).
    `fingerprint` is that of the routing (lanes, tables, keys); another one needs a new generation.
    `by_table` lists the tables that go whole into one lane, fixed for the generation.
    `previous` is the last generation and its final counts by lane: a sink proves by it that it missed nothing.
    `copies`: what of the tables' present rows is still to be sent.
    """

    generation: int
    point: SourcePoint
    token: int
    fingerprint: str
    after: Sequence = ORIGIN
    lanes: dict[str, LaneCount] = field(default_factory=dict)
    by_table: tuple[str, ...] = ()
    replay_until: Sequence = ORIGIN
    previous: tuple[int, dict[str, int]] | None = None
    copies: Copies = NO_COPIES

    def to_json(self) -> bytes:
        return orjson.dumps(self, default=tuple)  # a Sequence is a tuple subclass, which orjson leaves to us

    @classmethod
    def from_json(cls, text: bytes | str) -> "Checkpoint":
        raw: dict[str, Any] = orjson.loads(text)
        previous = raw["previous"]
        return cls(
            generation=raw["generation"],
            point=SourcePoint(**raw["point"]),
            token=raw["token"],
            fingerprint=raw["fingerprint"],
            after=Sequence(*raw["after"]),
            lanes={lane: LaneCount(v["count"], Sequence(*v["after"])) for lane, v in raw["lanes"].items()},
            by_table=tuple(raw["by_table"]),
            replay_until=Sequence(*raw["replay_until"]),
            previous=None if previous is None else (previous[0], previous[1]),
            copies=Copies.of(raw.get("copies")),
        )

    def with_token(self, token: int) -> "Checkpoint":
        return replace(self, token=token)


@dataclass(frozen=True, slots=True)
class Progress:
    """A lane's row in the target's `_cdc_progress`: moved in the same transaction as the rows.

    `token` is the sink's; `reader_token` the highest seen from readers. `watermark` and `count` are those of the last
    change event applied. `offset` is the queue's own place after which to go on reading ("" = the lane's beginning).
    `point` is the start of the transaction of the watermark: from there everything above the watermark can be read again.
    `arrived`: the barrier at which this lane waits, all before it being applied.
    `fingerprint`: that of the generation's routing (see Checkpoint).
    `commit_us`: commit time at the source of the last change event applied, microseconds since 1970.
    """

    lane: str
    token: int = 0
    reader_token: int = 0
    watermark: Sequence = ORIGIN
    count: int = 0
    offset: str = ""
    point: SourcePoint | None = None
    arrived: Sequence | None = None
    commit_us: int = 0
    fingerprint: str = ""
