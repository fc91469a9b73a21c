"""The rows of Lockstep's own two tables at a target as values, and values as parameters of cdc.target.sql.statements."""

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

from cdc.model.batch import DeadLetter, Key
from cdc.model.checkpoint import Progress, SourcePoint
from cdc.model.position import Sequence
from cdc.target.port import StoredLetter
from cdc.target.sql.statements import MOVED, STORED


def lane_row(connector: str, sink: str, progress: Progress, session: str) -> dict[str, Any]:
    """All parameters of a lane's progress row."""
    point, arrived = progress.point, progress.arrived
    arrived_parts = tuple(arrived) if arrived else (None, None, None, None)
    source = (point.source_id, point.file, point.offset, point.gtid_set, point.file_created) if point else (None,) * 5
    return {
        "connector": connector,
        "sink": sink,
        "lane": progress.lane,
        "token": progress.token,
        "session": session,
        **dict(
            zip(
                MOVED,
                (
                    progress.reader_token,
                    *progress.watermark,
                    progress.count,
                    progress.offset,
                    *source,
                    *arrived_parts,
                    progress.commit_us,
                    progress.fingerprint,
                ),
                strict=True,
            )
        ),
    }


def progress_of(row: Any) -> tuple[Progress, str]:
    """A row of Statements.read_progress: the lane's progress, and the holder's session."""
    lane, token, reader_token, *rest = row
    watermark, (events, queue_offset) = rest[:4], rest[4:6]
    source_id, source_file, source_pos, source_gtid, source_created = rest[6:11]
    arrived, (commit_us, fingerprint, session) = rest[11:15], rest[15:18]
    point = None
    if source_id is not None:
        point = SourcePoint(source_id, source_file, source_pos, source_gtid, source_created)
    progress = Progress(
        lane=lane,
        token=token,
        reader_token=reader_token,
        watermark=Sequence(*watermark),
        count=events,
        offset=queue_offset,
        point=point,
        arrived=None if arrived[0] is None else Sequence(*arrived),
        commit_us=commit_us,
        fingerprint=fingerprint,
    )
    return progress, session


def letter_row(connector: str, sink: str, lane: str, letter: DeadLetter) -> dict[str, Any]:
    """The parameters of Statements.insert_letter."""
    change = letter.change
    key = orjson.dumps(change.key)
    return {
        "connector": connector,
        "sink": sink,
        "lane": lane,
        "db_name": change.db,
        "table_name": change.table,
        "key_json": key.decode(),
        "key_hash": hashlib.sha256(key).hexdigest(),
        "seq": ":".join(map(str, change.seq)),
        "op": change.op,
        "event": change.raw,
        "reason": letter.reason,
    }


def letter_at(connector: str, sink: str, letter: StoredLetter) -> dict[str, Any]:
    """The parameters of Statements.drop_letter: the letter as it was listed, and no other."""
    return {
        "connector": connector,
        "sink": sink,
        "db_name": letter.db,
        "table_name": letter.table,
        "id": letter.id,
        "event_bytes": len(letter.value) + len(letter.since),
    }


def parked_key(row: Any) -> tuple[str, str, Key]:
    """A row of Statements.parked."""
    db, table, key = row
    return db, table, tuple(orjson.loads(key))


def _message_key(key: str) -> bytes:
    """What `parse` takes as a message's key: an object, its names being of no account."""
    return orjson.dumps({str(number): value for number, value in enumerate(orjson.loads(key), 1)})


def stored_letter(row: Any) -> StoredLetter:
    """A row of Statements.list_letters."""
    values: Mapping[str, Any] = dict(zip(STORED, row, strict=True))
    # JSON as it comes on the wire has no line feed.
    value, feed, since = bytes(values["event"]).partition(b"\n")
    return StoredLetter(
        id=values["id"],
        lane=values["lane"],
        db=values["db_name"],
        table=values["table_name"],
        key=values["key_json"],
        seq=values["seq"],
        reason=values["reason"],
        parked_at=str(values["parked_at"]),
        key_json=_message_key(values["key_json"]),
        value=value,
        since=feed + since,
    )
