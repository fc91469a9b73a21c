"""Documents: the compiled decoder prints them as the plain one does, and takes the same ones for damaged."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.binary_json import Json, Opaque, document
from tests.support.changes import both, must_be_equal, projected
from tests.support.row_events import ColumnBytes, image, prefixed, rows_event, table_map

PLAIN, _ = both()
TABLE = PLAIN.table_map(memoryview(table_map([ColumnBytes("id", 3), ColumnBytes("doc", 245, b"\4")])))
TEXTS = st.text(st.characters(exclude_categories=("Cs",)) | st.sampled_from('"\\\b\n\x01\x1f\x7fé😀'), max_size=20)
OPAQUES = st.one_of(
    st.tuples(st.sampled_from((7, 10, 11, 12)), st.binary(min_size=8, max_size=8)),
    st.tuples(st.sampled_from((15, 16, 252, 255)), st.binary(max_size=130)),
    st.sampled_from(
        ((246, b"\x04\x02\x80\x32"), (246, b"\x0a\x00\x7f\xff\xff\xff\xfe"), (246, b"\x12\x09\x8f\0\0\0\0\0\0\x01"))
    ),
).map(lambda pair: Opaque(*pair))
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.integers(-40000, 70000),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from((0.0, -0.0, 1e14, 1e15, 1e16, 1e-14, 1e-15, 1e-16, 123456789012345678.0, 1000000000000000.5)),
    TEXTS,
    OPAQUES,
)
DOCUMENTS: Any = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4), max_leaves=20
)


def document_must_be_equal(raw: bytes, *, sound: bool = False) -> None:
    body = rows_event(30, 2, [image([bytes(4), prefixed(raw, 4)])])
    projection = projected(TABLE)
    mine = must_be_equal(30, body, TABLE, projection)
    assert isinstance(mine, list) or not sound


@settings(max_examples=300)
@given(DOCUMENTS, st.booleans())
def test_documents(value: Json, large: bool) -> None:
    document_must_be_equal(document(value, large=large), sound=True)


@settings(max_examples=400)
@given(
    DOCUMENTS, st.booleans(), st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), min_size=1, max_size=4)
)
def test_damaged_documents(value: Json, large: bool, changes: list[tuple[int, int]]) -> None:
    raw = bytearray(document(value, large=large))
    for place, byte in changes:
        raw[place % len(raw)] = byte
    document_must_be_equal(bytes(raw))
    document_must_be_equal(bytes(raw[: changes[0][0] % len(raw)]))


@given(st.binary(max_size=60))
def test_bytes_that_are_no_document(raw: bytes) -> None:
    document_must_be_equal(raw)


def test_no_document_is_null() -> None:
    document_must_be_equal(b"", sound=True)


def test_depth() -> None:
    for levels in (99, 100, 101, 102):
        value: Json = 1
        for _ in range(levels):
            value = [value]
        document_must_be_equal(document(value))
        document_must_be_equal(document(value, large=True))


def test_values_that_overlap_end_soon() -> None:
    """An array whose items are all one array, again and again: few bytes, and without a bound 2**60 values."""
    raw = b"\x02"
    for _ in range(60):
        raw += b"\x02\0\x0a\0" + b"\x02\x0a\0" * 2
    document_must_be_equal(raw + b"\0\0\4\0")
