"""Differences of JSON documents, built by hand: what fits is applied, what does not is damage."""

import pytest

from cdc.binlog.decoder.json_binary import json_text, json_tree, tree_text
from cdc.binlog.decoder.json_diff import patched
from cdc.model.errors import BinlogDamaged

REPLACE, INSERT, REMOVE = 0, 1, 2
EMPTY_ARRAY = b"\x02\x00\x00\x04\x00"
EMPTY_OBJECT = b"\x00\x00\x00\x04\x00"


def small(number: int) -> bytes:
    """A document that is a small integer."""
    return b"\x05" + number.to_bytes(2, "little", signed=True)


def diff(operation: int, path: str, value: bytes | None = None) -> bytes:
    raw = path.encode()
    length = bytes((len(raw),)) if len(raw) < 251 else b"\xfc" + len(raw).to_bytes(2, "little")
    return bytes((operation,)) + length + raw + (b"" if value is None else bytes((len(value),)) + value)


def after(document: bytes, *diffs: bytes) -> str:
    return patched(document, b"".join(diffs), "here")


def test_members_come_in_the_order_of_their_length_and_then_of_their_bytes() -> None:
    members = [diff(INSERT, path, small(1)) for path in ("$.bb", "$.z", "$.a", "$.é", '$.""', '$."B b"')]
    assert after(EMPTY_OBJECT, *members) == '{"": 1, "a": 1, "z": 1, "bb": 1, "é": 1, "B b": 1}'


def test_cells_are_counted_from_both_ends() -> None:
    one_two_three = [diff(INSERT, f"$[{number}]", small(number)) for number in (1, 2, 3)]
    assert after(EMPTY_ARRAY, *one_two_three) == "[1, 2, 3]"
    assert after(EMPTY_ARRAY, *one_two_three, diff(REPLACE, "$[last]", small(9))) == "[1, 2, 9]"
    assert after(EMPTY_ARRAY, *one_two_three, diff(REMOVE, "$[last-2]")) == "[2, 3]"
    assert after(EMPTY_ARRAY, *one_two_three, diff(INSERT, "$[last]", small(9))) == "[1, 2, 9, 3]"
    assert after(EMPTY_ARRAY, *one_two_three, diff(INSERT, "$[last-7]", small(9))) == "[9, 1, 2, 3]"


def test_parts_of_parts() -> None:
    nested = [
        diff(INSERT, "$.a", EMPTY_ARRAY),
        diff(INSERT, "$.a[0]", EMPTY_OBJECT),
        diff(INSERT, '$.a[0]."x\\"y"', small(-1)),
    ]
    assert after(EMPTY_OBJECT, *nested) == '{"a": [{"x\\"y": -1}]}'


@pytest.mark.parametrize(
    "bad",
    [
        diff(REPLACE, "$.a", small(1)),  # not there
        diff(REMOVE, "$.a"),
        diff(INSERT, "$.a.b", small(1)),
        diff(INSERT, "$[0]", small(1)),  # an object has no cells
        diff(3, "$.a", small(1)),
        diff(INSERT, "$", small(1)),
        diff(INSERT, "a", small(1)),
        diff(INSERT, "$.a b[", small(1)),
        diff(INSERT, "$[]", small(1)),
        diff(INSERT, "$.*", small(1)) + diff(INSERT, "$.*", small(1)),
        diff(INSERT, '$."\\x"', small(1)),
        diff(INSERT, "$.a", b"\x63"),
    ],
)
def test_what_does_not_fit_is_damage(bad: bytes) -> None:
    with pytest.raises((ValueError, IndexError)):
        after(EMPTY_OBJECT, bad)


def test_what_is_cut_short_is_damage() -> None:
    whole = diff(INSERT, "$.a", small(1))
    for length in range(1, len(whole)):
        with pytest.raises((BinlogDamaged, ValueError, IndexError)):
            after(EMPTY_OBJECT, whole[:length])


def test_a_document_does_not_get_deeper_than_the_server_allows() -> None:
    deeper = [diff(INSERT, "$" + "[0]" * depth, EMPTY_ARRAY) for depth in range(1, 100)]
    assert after(EMPTY_ARRAY, *deeper) == "[" * 100 + "]" * 100
    with pytest.raises(ValueError, match="deeper than 100 levels"):
        after(EMPTY_ARRAY, *deeper, diff(INSERT, "$" + "[0]" * 100, EMPTY_ARRAY))


def test_a_tree_prints_what_the_document_prints() -> None:
    array = b"\x01\x00\x07\x00" + b"\x04\x01\x00"
    document = b"\x00" + b"\x01\x00\x13\x00" + b"\x0b\x00\x01\x00" + b"\x02\x0c\x00" + b"a" + array
    assert tree_text(json_tree(document)) == json_text(document) == '{"a": [true]}'
