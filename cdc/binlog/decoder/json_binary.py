"""MySQL's binary JSON as the text that SELECT prints.

Storage: the comment at the head of sql-common/json_binary.h
(https://dev.mysql.com/doc/dev/mysql-server/latest/json__binary_8h.html); text: `Json_wrapper::to_string`.
"""

import json
import math
import struct
from abc import ABC, abstractmethod
from base64 import b64encode
from typing import Any, NamedTuple

from cdc.binlog.decoder.numeric import DecimalFormat
from cdc.binlog.decoder.temporal import datetime_text, time_text
from cdc.model.change import Value

Node = str | list["Node"] | dict[str, "Node"]
"""A JSON value; a `str` is the text of a scalar, the quotes of a string included."""

PREFIX_BYTES = 4
"""Of the length before each document in a row."""

MAX_DEPTH = 100  # JSON_DOCUMENT_MAX_DEPTH of the server
_LITERALS = ("null", "true", "false")

_SMALL_OBJECT, _LARGE_OBJECT, _SMALL_ARRAY, _LARGE_ARRAY = 0, 1, 2, 3
_LITERAL, _STRING, _OPAQUE = 4, 12, 15
_INT16, _UINT16, _INT32, _UINT32, _DOUBLE = 5, 6, 7, 8, 11
_INLINE_IF_SMALL = frozenset((_LITERAL, _INT16, _UINT16))
_INLINE_IF_LARGE = _INLINE_IF_SMALL | {_INT32, _UINT32}
_NUMBERS = {
    _INT16: struct.Struct("<h").unpack_from,
    _UINT16: struct.Struct("<H").unpack_from,
    _INT32: struct.Struct("<i").unpack_from,
    _UINT32: struct.Struct("<I").unpack_from,
    9: struct.Struct("<q").unpack_from,
    10: struct.Struct("<Q").unpack_from,
}
_float64 = struct.Struct("<d").unpack_from
_DATE, _TIME, _DATETIMES, _DECIMAL = 10, 11, (7, 12), 246


def json_column(data: bytes, start: int) -> tuple[Value, int]:
    """A value of a JSON column: its length, then the document."""
    start += PREFIX_BYTES
    end = start + int.from_bytes(data[start - PREFIX_BYTES : start], "little")
    return json_text(data[start:end]), end


def json_text(document: bytes) -> str:
    """The text of one document; raises ValueError, IndexError or struct.error where it is damaged.

    An empty one is null: the server leaves it behind when a NOT NULL column is added to a table that has rows.
    """
    text: str = _Text(document).root()
    return text


def json_tree(document: bytes) -> Node:
    """The same with its objects as dicts and its arrays as lists, for what changes a part of it; scalars are their text."""
    node: Node = _Tree(document).root()
    return node


def tree_text(node: Node, depth: int = 0) -> str:
    """The text of a tree; raises ValueError where it is deeper than the server allows."""
    if isinstance(node, str):
        return node
    if depth >= MAX_DEPTH:
        raise ValueError(f"a JSON document is deeper than {MAX_DEPTH} levels")
    if isinstance(node, list):
        return f"[{', '.join([tree_text(item, depth + 1) for item in node])}]"
    keys = sorted(node, key=_key_order)
    return "{" + ", ".join([f"{quoted(key)}: {tree_text(node[key], depth + 1)}" for key in keys]) + "}"


def _key_order(key: str) -> tuple[int, bytes]:
    """Shorter keys first, then by their bytes (`Json_key_comparator`)."""
    raw = key.encode()
    return len(raw), raw


class _Layout(NamedTuple):
    """Of a container: count and size; then, of an object, offset and length of each key; then kind of each value, and its
    offset, or itself where its kind is one of `inline`."""

    is_object: bool
    sizes: struct.Struct
    key: struct.Struct
    value: struct.Struct
    inline: frozenset[int]


_SMALL = (struct.Struct("<HH"), struct.Struct("<HH"), struct.Struct("<BH"), _INLINE_IF_SMALL)
_LARGE = (struct.Struct("<II"), struct.Struct("<IH"), struct.Struct("<BI"), _INLINE_IF_LARGE)
_LAYOUTS = {
    _SMALL_OBJECT: _Layout(True, *_SMALL),
    _LARGE_OBJECT: _Layout(True, *_LARGE),
    _SMALL_ARRAY: _Layout(False, *_SMALL),
    _LARGE_ARRAY: _Layout(False, *_LARGE),
}


class _Document(ABC):
    """Values refer to their parts by offsets, which damaged bytes can make overlap; in a sound document they never do. So
    all values and strings together cannot take more bytes than there are: that bounds the work."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._budget = len(data)

    def root(self) -> Any:
        """The document as the subclass makes it."""
        return self._value(self._data[0], 1, 0) if self._data else "null"

    @abstractmethod
    def _array(self, items: list[Any]) -> Any: ...

    @abstractmethod
    def _object(self, keys: list[str], values: list[Any]) -> Any: ...

    def _slice(self, start: int, length: int) -> bytes:
        """Takes it off the budget."""
        end = start + length
        if end > len(self._data):
            raise ValueError("a JSON value lies beyond its document")
        self._budget -= length
        if self._budget < 0:
            raise _overlapping()
        return self._data[start:end]

    def _value(self, kind: int, start: int, depth: int) -> Any:
        self._budget -= 1
        if self._budget < 0:
            raise _overlapping()
        if kind == _STRING:
            length, begin = self._length(start)
            return quoted(self._slice(begin, length).decode())
        if kind in _NUMBERS:
            return str(_NUMBERS[kind](self._data, start)[0])
        if kind == _LITERAL:
            return _LITERALS[self._data[start]]
        if kind in _LAYOUTS:
            return self._container(_LAYOUTS[kind], start, depth + 1)
        if kind == _DOUBLE:
            return double_text(_float64(self._data, start)[0])
        if kind == _OPAQUE:
            length, begin = self._length(start + 1)
            return opaque_text(self._data[start], self._slice(begin, length))
        raise ValueError(f"there is no JSON value of type {kind}")

    def _length(self, start: int) -> tuple[int, int]:
        """Seven bits in each byte, the highest one says that more follow; at most five bytes."""
        length = self._data[start]
        if length < 0x80:
            return length, start + 1
        length &= 0x7F
        for index in range(1, 5):
            byte = self._data[start + index]
            length |= (byte & 0x7F) << 7 * index
            if byte < 0x80:
                return length, start + index + 1
        raise ValueError("a JSON length has more than five bytes")

    def _container(self, layout: _Layout, start: int, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise ValueError(f"a JSON document is deeper than {MAX_DEPTH} levels")
        is_object, sizes, key, value, inline = layout
        count, size = sizes.unpack_from(self._data, start)
        keys_at = start + sizes.size
        values_at = keys_at + count * key.size if is_object else keys_at
        end = values_at + count * value.size
        if end > start + size or start + size > len(self._data):
            raise ValueError("a JSON object or array is larger than its place")
        values = []
        place = values_at + 1
        for kind, offset in value.iter_unpack(self._data[values_at:end]):
            if kind in inline:
                values.append(self._value(kind, place, depth))
            elif start + offset < end:
                raise ValueError("a JSON value lies inside its container's header")
            else:
                values.append(self._value(kind, start + offset, depth))
            place += value.size
        if not is_object:
            return self._array(values)
        entries = key.iter_unpack(self._data[keys_at:values_at])
        return self._object([self._slice(start + offset, length).decode() for offset, length in entries], values)


def _overlapping() -> ValueError:
    return ValueError("the values of a JSON document overlap")


class _Text(_Document):
    def _array(self, items: list[str]) -> str:
        return f"[{', '.join(items)}]"

    def _object(self, keys: list[str], values: list[str]) -> str:
        return "{" + ", ".join([f"{quoted(key)}: {value}" for key, value in zip(keys, values, strict=True)]) + "}"


class _Tree(_Document):
    def _array(self, items: list[Node]) -> Node:
        return items

    def _object(self, keys: list[str], values: list[Node]) -> Node:
        return dict(zip(keys, values, strict=True))


_encoder = json.JSONEncoder(ensure_ascii=False)


def quoted(text: str) -> str:
    """JSON's escapes, as few as the server writes: everything from U+0020 up stands for itself."""
    return _encoder.encode(text)


_MOST_WHOLE_DIGITS = 15


def double_text(number: float) -> str:
    """The shortest digits that read back the same, laid out as the server's my_gcvt does: an exponent, without plus sign
    or leading zeros, only where the point would stand more than 15 digits from the first one, and not among them; `.0` after
    whole numbers."""
    if not math.isfinite(number):
        raise ValueError("JSON has no such number")
    short = repr(number)
    if "e" not in short and short.index(".") <= _MOST_WHOLE_DIGITS:
        return short
    sign = "-" if math.copysign(1.0, number) < 0 else ""
    mantissa, _, exponent = short.removeprefix("-").partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    if not digits:
        return sign + "0.0"
    point = int(exponent or 0) + len(whole) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    if -15 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    if 0 < point <= max(_MOST_WHOLE_DIGITS, len(digits) - 1):
        return f"{sign}{digits[:point].ljust(point, '0')}.{digits[point:] or '0'}"
    rest = "." + digits[1:] if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{rest}e{point - 1}"


def opaque_text(kind: int, raw: bytes) -> str:
    """A value of an SQL type inside JSON. Decimals print as numbers, dates and times as strings, all else as the server
    marks it: `"base64:type15:AP8="`, with its line breaks."""
    if kind == _DECIMAL:
        form = DecimalFormat(raw[0], raw[1])
        if len(raw) != 2 + form.length:
            raise ValueError("a decimal in JSON has the wrong length")
        return form.text(raw[2:])
    if kind in (_DATE, _TIME, *_DATETIMES):
        return _temporal_text(kind, raw)
    return quoted(f"base64:type{kind}:{_lines(b64encode(raw).decode('ascii'))}")


def _lines(text: str) -> str:
    """The server breaks base64 after every 76 characters."""
    return "\n".join([text[start : start + 76] for start in range(0, len(text), 76)])


def _temporal_text(kind: int, raw: bytes) -> str:
    """Eight bytes: a number whose lowest 24 bits are microseconds, above them what a column of the type packs."""
    if len(raw) != 8:
        raise ValueError("a date or time in JSON has the wrong length")
    packed = int.from_bytes(raw, "little", signed=True)
    magnitude = abs(packed)
    micros = f"{magnitude & 0xFFFFFF:06d}"
    if kind == _TIME:
        return f'"{"-" if packed < 0 else ""}{time_text(magnitude >> 24)}.{micros}"'
    text = datetime_text(magnitude >> 24)
    return f'"{text[:10]}"' if kind == _DATE else f'"{text.replace("T", " ")}.{micros}"'
