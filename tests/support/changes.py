"""What a decoder makes of an event, as bytes: for tests that hold two decoders equal."""

import os
from collections.abc import Sequence
from ctypes import c_ubyte
from functools import lru_cache

import orjson
import pytest

from cdc.binlog.decoder import load
from cdc.binlog.decoder.port import Decoder, TableMap
from cdc.binlog.decoder.projection import Projection
from cdc.model.change import Draft
from cdc.model.compiled import EncodedRows
from cdc.model.errors import CdcError, FatalError
from cdc.model.routing import key_hash

Told = list[tuple[str, bytes, bytes, bytes, int]]
"""Of each change: op, the JSON of key, before and after (b"" where there is none), and the checksum that decides its lane."""


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
            key_hash(draft.db, draft.table, draft.key.values()),
        )
        for draft in changes
    ]


def outcome(decoder: Decoder, event_type: int, body: bytes, table: TableMap, projection: Projection) -> Told | CdcError:
    """The changes, or the typed error; any other error fails the test.

    The bytes lie in a place of just their size, which bytes do not: a sanitizer sees one that is read too many.
    """
    place = (c_ubyte * len(body)).from_buffer_copy(body)
    try:
        return told(decoder.changes(event_type, memoryview(place), table, projection))
    except CdcError as error:
        return error


def same(one: Told | CdcError, other: Told | CdcError) -> bool:
    """Errors are, where their types, words and hints are."""
    if isinstance(one, CdcError) and isinstance(other, CdcError):
        return (type(one), str(one), one.hint) == (type(other), str(other), other.hint)
    return one == other


def both() -> tuple[Decoder, Decoder]:
    """The plain decoder and the compiled one; skips where that was not built, unless CDC_DECODER asks for it."""
    try:
        return load("python"), load("compiled")
    except FatalError:
        if os.environ.get("CDC_DECODER") == "compiled":
            raise
        pytest.skip("the compiled decoder was not built", allow_module_level=True)


def given_up(decoder: Decoder) -> int:
    """How many events the compiled decoder began and left to the plain one; of that one itself none."""
    return int(getattr(decoder, "given_up", 0))


def must_be_equal(event_type: int, body: bytes, table: TableMap, projection: Projection) -> Told | CdcError:
    """Both decoders make the same of the event: that. What the plain one reads, C does not give up.

    Without a compiled decoder: what the plain one makes of it.
    """
    outcomes = []
    for decoder in _there():
        before = given_up(decoder)
        outcomes.append(outcome(decoder, event_type, body, table, projection))
        assert same(outcomes[0], outcomes[-1]), difference(*outcomes)
        assert given_up(decoder) == before or isinstance(outcomes[0], CdcError), "C gave up what is sound"
    return outcomes[0]


@lru_cache(maxsize=1)
def _there() -> tuple[Decoder, ...]:
    plain, default = load("python"), load("compiled" if os.environ.get("CDC_DECODER") == "compiled" else None)
    return (plain, default) if default.name == "compiled" else (plain,)


def difference(one: Told | CdcError, other: Told | CdcError) -> str:
    """What a person needs to see of two that are not the same."""
    if isinstance(one, CdcError) or isinstance(other, CdcError) or len(one) != len(other):
        return f"{one!r:.500} is not {other!r:.500}"
    return "\n".join(
        f"{a} is not {b}"
        for mine, its in zip(one, other, strict=True)
        for a, b in zip(mine, its, strict=True)
        if a != b
    )


def projected(table: TableMap, exclude: Sequence[str] = (), mask: Sequence[str] = ()) -> Projection:
    """All of the table, but for what the patterns say. No column of it is a virtual generated one."""
    return Projection(table.schema, exclude, mask, b"salt", unlogged=())
