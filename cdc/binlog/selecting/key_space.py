"""Values of a key column as whole numbers that grow about as they do, so that between two of them there is a middle. Pure.

About: what comes out is only a guess at where to look. Which row is there, and what lies before it, is asked of the server.
"""

from base64 import b64decode, b64encode
from bisect import bisect_right
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import takewhile
from typing import NamedTuple

from cdc.model.change import Value
from cdc.model.schema import Column

_WIDTH = 8  # characters, or bytes, behind what all keys begin with
# Characters that collations and codes have in one order; what stands between two of them counts as the one before it. The end of
# a text comes before all.
_SIGNS_AND_DIGITS = " -./0123456789"
_OF_ONE_CASE = _SIGNS_AND_DIGITS + "abcdefghijklmnopqrstuvwxyz"
_OF_BOTH_CASES = _SIGNS_AND_DIGITS + "ABCDEFGHIJKLMNOPQRSTUVWXYZ" + "abcdefghijklmnopqrstuvwxyz"
_BYTES = frozenset(("binary", "varbinary"))
_TEXTS = frozenset(("char", "varchar"))


class KeySpace(NamedTuple):
    """`value` gives the column's wire value for a number from `low` to `high`."""

    low: int
    high: int
    value: Callable[[int], Value]


def key_space(column: Column, lowest: Value, highest: Value) -> KeySpace | None:
    """None for a type that is not understood here, and for values without anything between them."""
    make = _TEXT if column.type in _TEXTS and column.charset is not None else _MAKERS.get(column.type)
    if make is None:
        return None
    try:
        space = make(column, str(lowest), str(highest))
    except (ValueError, ArithmeticError):  # a date that is none; NaN is no decimal
        return None
    return space if space.low < space.high else None


def _text(column: Column, lowest: str, highest: str) -> KeySpace:
    letters = _OF_BOTH_CASES
    if not (column.collation or "").endswith("_bin"):
        lowest, highest, letters = lowest.lower(), highest.lower(), _OF_ONE_CASE
    base = len(letters) + 1
    prefix = lowest[: _alike(lowest, highest)]

    def value(number: int) -> Value:
        return prefix + "".join(letters[digit - 1] for digit in takewhile(bool, _digits(number, base)))

    def number(text: str) -> int:
        behind = text[len(prefix) :][:_WIDTH]
        return _number([max(1, bisect_right(letters, letter)) for letter in behind], base)

    return KeySpace(number(lowest), number(highest), value)


def _binary(_: Column, lowest: str, highest: str) -> KeySpace:
    low, high = b64decode(lowest), b64decode(highest)
    prefix = low[: _alike(low, high)]

    def value(number: int) -> Value:
        return b64encode(prefix + bytes(_digits(number, 256))).decode()

    def number(raw: bytes) -> int:
        return _number(list(raw[len(prefix) :][:_WIDTH]), 256)

    return KeySpace(number(low), number(high), value)


def _alike(low: Sequence[object], high: Sequence[object]) -> int:
    """How many places both begin with."""
    return next(
        (n for n, (one, other) in enumerate(zip(low, high, strict=False)) if one != other), min(len(low), len(high))
    )


def _number(places: list[int], base: int) -> int:
    number = 0
    for place in range(_WIDTH):
        number = number * base + (places[place] if place < len(places) else 0)
    return number


def _digits(number: int, base: int) -> list[int]:
    return [number // base**place % base for place in reversed(range(_WIDTH))]


def _decimal(column: Column, lowest: str, highest: str) -> KeySpace:
    scale = column.scale or 0
    low, high = (int(Decimal(text).scaleb(scale)) for text in (lowest, highest))
    return KeySpace(low, high, lambda number: f"{Decimal(number).scaleb(-scale):f}")


def _date(_: Column, lowest: str, highest: str) -> KeySpace:
    low, high = (date.fromisoformat(text).toordinal() for text in (lowest, highest))
    return KeySpace(low, high, lambda number: date.fromordinal(number).isoformat())


def _moment(column: Column, lowest: str, highest: str) -> KeySpace:
    zone = "Z" if column.type == "timestamp" else ""
    low, high = (datetime.fromisoformat(text.removesuffix("Z")) for text in (lowest, highest))
    microsecond = timedelta(microseconds=1)
    return KeySpace(
        0, (high - low) // microsecond, lambda number: (low + number * microsecond).isoformat(timespec="seconds") + zone
    )


_Make = Callable[[Column, str, str], KeySpace]
_TEXT: _Make = _text
_MAKERS: dict[str, _Make] = {
    **dict.fromkeys(_BYTES, _binary),
    "decimal": _decimal,
    "date": _date,
    **dict.fromkeys(("datetime", "timestamp"), _moment),
}
