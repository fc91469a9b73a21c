"""Messages of change events, rendered as a reader does, for the tests of the compiled path of the sink."""

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from cdc.model.change import Change, Draft, Marker, Received, Row, Transaction, parse, render_change
from cdc.model.checkpoint import SourcePoint
from cdc.model.errors import PoisonMessage
from cdc.model.position import Sequence as Place

PLACE = Place(1, 3, 200, 0)
POINT = SourcePoint("3e11fa47-71ca-11e1-9e33-c80aa9429562", "mysql-bin.000003", 4)

texts = st.one_of(
    st.text(max_size=12),
    st.text(st.sampled_from("ab\\\"'/\t\n\r\0\b\f\x1a\x7f\u2028€😀"), max_size=24),
    st.sampled_from(["", "\\N", "\\.", "x" * 40, "a" * 15 + "\\" + "b" * 20, "é" * 9]),
)
numbers = st.one_of(
    st.integers(-(2**63), 2**64 - 1),
    st.sampled_from([0, -1, 2**63 - 1, 2**63, 2**64 - 1, -(2**63), 10**17, 10**18, 10**19]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0.0, -0.0, 1e16, 1e22, 1e-5, 1.5, 3.4028235e38, 5e-324]),
)
values: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.booleans(), numbers, texts, st.just({"srid": 0, "wkb": "AQ=="}), st.just([0.5, 1.0])
)


edits = st.lists(
    st.tuples(
        st.sampled_from(["put", "drop", "double", "cut"]),
        st.integers(0, 2**16),
        st.one_of(st.integers(0, 255), st.sampled_from(list(b'"\\{}[],:0-.eEntf \x00\x1f\x80\xff'))),
    ),
    min_size=1,
    max_size=3,
)


def edited(text: bytes, how: list[tuple[str, int, int]]) -> bytes:
    changed = bytearray(text)
    for kind, place, byte in how:
        at = place % (len(changed) + 1)
        if kind == "put":
            changed[at : at + 1] = bytes([byte])
        elif kind == "drop":
            del changed[at : at + 1]
        elif kind == "double":
            changed[at:at] = changed[at : at + 1 + byte]
        else:
            del changed[at:]
    return bytes(changed)


def message(
    draft: Draft,
    *,
    n: int = 1,
    seq: Place = PLACE,
    token: int = 5,
    gtid: str | None = None,
    replay: bool = False,
    ends: bool = True,
    query: str | None = None,
    commit_us: int = 1,
) -> Received:
    _, key, value = render_change(
        draft,
        connector="shop",
        flavor="mysql",
        transaction=Transaction(POINT, 7, gtid, 12, commit_us),
        seq=seq,
        event_offset=seq.offset,
        lane="0",
        n=n,
        token=token,
        total_order=1,
        table_order=1,
        ends_transaction=ends,
        replay=replay,
        query=query,
        now_ms=99,
    )
    return Received(f"{token}-{n}", key, value)


def draft_of(op: str, key: Row, after: Row | None, *, table: str = "items", schema: str = "s") -> Draft:
    return Draft(op, "shop", table, schema, key, None if op == "c" else dict(key), None if op == "d" else after)


def read(received: Received) -> Change | Marker | None:
    """As `parse` has it; None for what is not one of ours."""
    try:
        return parse(received.key, received.value)
    except PoisonMessage:
        return None


def reply_of(entries: Sequence[Received]) -> bytes:
    """What Redis answers to XRANGE."""
    parts = [b"*%d\r\n" % len(entries)]
    for offset, key, value in entries:
        fields = [b"v", value] if key is None else [b"k", key, b"v", value]
        parts += [b"*2\r\n", _bulk(offset.encode()), b"*%d\r\n" % len(fields), *map(_bulk, fields)]
    return b"".join(parts)


def _bulk(text: bytes) -> bytes:
    return b"$%d\r\n%s\r\n" % (len(text), text)
