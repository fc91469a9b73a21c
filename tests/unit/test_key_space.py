"""Keys as numbers: what lies in the middle of two of them lies between them."""

from base64 import b64encode

import pytest

from cdc.binlog.selecting.key_space import key_space
from cdc.model.schema import Column


def binary(raw: bytes) -> str:
    return b64encode(raw).decode()


ASCII = {"charset": "utf8mb4", "collation": "utf8mb4_bin"}


@pytest.mark.parametrize(
    ("column", "lowest", "highest"),
    [
        (Column("k", "varchar", **ASCII), "a", "zebra"),
        (Column("k", "varchar", **ASCII), "order-000001", "order-930000"),
        (Column("k", "char", **ASCII), "00af0000-6b3f-11ee", "ffe10000-6b3f-11ee"),
        (Column("k", "varchar", **ASCII), "", "~"),
        (Column("k", "binary", length=16), binary(bytes(16)), binary(b"\xff" * 16)),
        (Column("k", "varbinary"), binary(b"same\x01"), binary(b"same\x09")),
        (Column("k", "decimal", precision=12, scale=2), "-10.50", "99999.99"),
        (Column("k", "date"), "1999-12-31", "2026-01-01"),
        (Column("k", "datetime"), "2020-01-01T00:00:00", "2026-01-01T12:00:00.5"),
        (Column("k", "timestamp"), "2020-01-01T00:00:00Z", "2026-01-01T12:00:00Z"),
    ],
)
def test_what_lies_between_two_keys(column: Column, lowest: str, highest: str) -> None:
    space = key_space(column, lowest, highest)
    assert space is not None
    before = space.value(space.low)
    for part in range(1, 8):
        value = space.value(space.low + (space.high - space.low) * part // 8)
        if column.type != "decimal":
            compared = (str(before), str(value)) if not column.type.endswith("binary") else ("", "")
            assert compared[0] <= compared[1]
        before = value
        again = key_space(column, str(value), highest)
        assert again is not None
        assert key_space(column, lowest, str(value)) is not None


def test_letters_of_both_cases_are_one_where_the_collation_says_so() -> None:
    space = key_space(Column("k", "varchar", charset="utf8mb4", collation="utf8mb4_0900_ai_ci"), "Apple", "zebra")
    assert space is not None
    assert str(space.value((space.low + space.high) // 2))[0] in "lmno"


@pytest.mark.parametrize(
    ("kind", "lowest", "highest"),
    [
        ("date", "0000-00-00", "2026-01-01"),
        ("date", "2026-01-01", "2026-01-01"),
        ("enum", "a", "b"),
        ("uuid", "0", "f"),
        ("varbinary", "", ""),
    ],
)
def test_what_has_no_middle(kind: str, lowest: str, highest: str) -> None:
    assert key_space(Column("k", kind), lowest, highest) is None
