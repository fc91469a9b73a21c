"""What a decoder makes of an event, as bytes: for tests that hold two decoders equal."""

from collections.abc import Sequence

import orjson

from cdc.binlog.decoder.port import Decoder, TableMap
from cdc.binlog.decoder.projection import Projection
from cdc.model.change import Draft
from cdc.model.encoded import EncodedRows
from cdc.model.errors import CdcError
from cdc.model.routing import lane_number

Told = list[tuple[str, bytes, bytes, bytes, int]]
"""Of each change: op, the JSON of key, before and after (b"" where there is none), and the checksum that decides its lane."""

_ALL_LANES = 1 << 32
"""Lanes enough that the number of one is the checksum itself."""


def told(changes: Sequence[Draft]) -> Told:
    if isinstance(changes, EncodedRows):
        drafts = zip(changes, range(len(changes)), strict=True)
        return [(draft.op, *changes.texts(index), changes.crc(index)) for draft, index in drafts]
    return [
        (
            draft.op,
            orjson.dumps(draft.key),
            b"" if draft.before is None else orjson.dumps(draft.before),
            b"" if draft.after is None else orjson.dumps(draft.after),
            lane_number(draft.db, draft.table, draft.key.values(), _ALL_LANES),
        )
        for draft in changes
    ]


def outcome(decoder: Decoder, event_type: int, body: bytes, table: TableMap, projection: Projection) -> Told | CdcError:
    """The changes, or the typed error; any other error fails the test."""
    try:
        return told(decoder.changes(event_type, memoryview(body), table, projection))
    except CdcError as error:
        return error


def same(one: Told | CdcError, other: Told | CdcError) -> bool:
    """Errors are, where their types, words and hints are."""
    if isinstance(one, CdcError) and isinstance(other, CdcError):
        return (type(one), str(one), one.hint) == (type(other), str(other), other.hint)
    return one == other
