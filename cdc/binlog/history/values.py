"""A column's default as a change event shows it: docs/types.md.

https://dev.mysql.com/doc/refman/8.4/en/data-type-defaults.html; the server has checked that a default fits its column, so
what is left is its form. A constant whose form is not one of the plain ones is refused, not converted by guess.
"""

import base64
import decimal
import ipaddress
import json
import re
import struct
import uuid
import zoneinfo
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

from cdc.binlog.decoder.charsets import text_decoder
from cdc.binlog.decoder.numeric import float32
from cdc.binlog.history.context import Context
from cdc.binlog.history.tokens import BIT, HEX, INTRODUCER, NATIONAL, NUMBER, STRING, Word
from cdc.model.change import Value
from cdc.model.schema import Column

INTEGERS = frozenset(("tinyint", "smallint", "mediumint", "int", "bigint"))
_TEXTS = frozenset(("char", "varchar", "tinytext", "text", "mediumtext", "longtext"))
_NUMBERS = INTEGERS | {"decimal", "float", "double", "bit", "year"}
_BYTES = frozenset(("varbinary", "tinyblob", "blob", "mediumblob", "longblob"))
_ZERO_DATE, _ZERO_TIME = "0000-00-00", "00:00:00"
_DATE = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})|(\d{4})(\d\d)(\d\d)")
_TIME = re.compile(r"(-?)(\d{1,3}):(\d{1,2})(?::(\d{1,2})(?:\.(\d*))?)?")


_TEMPORALS = frozenset(("date", "datetime", "timestamp", "time"))
_IMPLICIT: dict[str, Value] = {
    **dict.fromkeys((*INTEGERS, "bit", "year"), 0),
    **dict.fromkeys(("float", "double"), 0.0),
    **dict.fromkeys((*_TEXTS, *_BYTES, "set"), ""),
    "json": "null",
    "uuid": str(uuid.UUID(int=0)),
    "inet4": "0.0.0.0",  # noqa: S104 — a value
    "inet6": "::",
}


_ENOUGH_DIGITS = decimal.Context(prec=100)


class Untold(ValueError):
    """The value cannot be told; the text continues "the default of column x …"."""


def implicit(column: Column) -> Value:
    """What a NOT NULL column without a DEFAULT takes ("Implicit Default Handling"); None where there is no such value."""
    of_column: dict[str, Callable[[Column], Value]] = {
        "decimal": lambda column: _decimal(Decimal(0), column),
        **dict.fromkeys(_TEMPORALS, zero),
        "binary": lambda column: _base64(bytes(column.length or 0)),
        "enum": lambda column: column.members[0],
    }
    make = of_column.get(column.type)
    return _IMPLICIT.get(column.type) if make is None else make(column)


def zero(column: Column) -> str:
    fraction = _fraction(0, column)
    return {
        "date": _ZERO_DATE,
        "time": _ZERO_TIME + fraction,
        "datetime": f"{_ZERO_DATE}T{_ZERO_TIME}{fraction}",
        "timestamp": f"{_ZERO_DATE}T{_ZERO_TIME}{fraction}Z",
    }[column.type]


def now(column: Column, digits: int, context: Context) -> Value:
    """CURRENT_TIMESTAMP(digits) of the statement."""
    microseconds = 0
    if digits and column.scale:
        if context.session.microseconds is None:
            raise Untold("is the time of the statement, and the binlog does not tell its fraction of a second")
        kept = min(digits, column.scale)
        microseconds = context.session.microseconds // 10 ** (6 - kept) * 10 ** (6 - kept)
    moment = datetime.fromtimestamp(context.timestamp, UTC)
    if column.type == "timestamp":
        return f"{moment:%Y-%m-%dT%H:%M:%S}{_fraction(microseconds, column)}Z"
    local = moment.astimezone(_zone(context))
    if column.type == "date":
        return f"{local:%Y-%m-%d}"
    if column.type == "time":
        return f"{local:%H:%M:%S}{_fraction(microseconds, column)}"
    if column.type != "datetime":
        raise Untold(f"is a time, the column a {column.type}")
    return f"{local:%Y-%m-%dT%H:%M:%S}{_fraction(microseconds, column)}"


def _zone(context: Context) -> tzinfo:
    name = context.session.time_zone
    if name is None or name.upper() == "SYSTEM":
        raise Untold("depends on the session's time zone, which the binlog does not tell")
    offset = re.fullmatch(r"([+-])(\d{1,2}):(\d\d)", name)
    if offset:
        span = timedelta(hours=int(offset[2]), minutes=int(offset[3]))
        return timezone(-span if offset[1] == "-" else span)
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError) as error:
        raise Untold(f"depends on the session's time zone {name}, which is not known here") from error


def constant(column: Column, literal: Sequence[Word], context: Context, digits: int | None = None) -> Value:
    """`literal` as the column shows it; `digits`: of FLOAT(m,d) and DOUBLE(m,d). Raises Untold."""
    if not literal:
        return None
    try:
        return _converted(column, literal, context, digits)
    except (ArithmeticError, struct.error, UnicodeError) as error:
        raise Untold("does not fit the column") from error


def _converted(column: Column, literal: Sequence[Word], context: Context, digits: int | None) -> Value:
    kind = column.type
    if kind in _NUMBERS:
        return _number(column, literal, digits)
    if kind == "binary":
        return _base64(_bytes_of(literal).ljust(column.length or 0, b"\0"))
    if kind in _BYTES:
        return _base64(_bytes_of(literal))
    text = _text_of(literal, column)
    return _temporal(column, text, context) if kind in _TEMPORALS else _textual(column, text, literal)


def _textual(column: Column, text: str, literal: Sequence[Word]) -> str:
    kind = column.type
    if kind in _TEXTS:
        return text.rstrip(" ") if kind == "char" else text
    if kind == "enum":
        return _member(text, column)
    if kind == "set":
        return _members(text, column)
    return _json(text, literal) if kind == "json" else _address(kind, text)


def _number(column: Column, literal: Sequence[Word], digits: int | None) -> Value:
    kind = column.type
    if kind == "bit" and literal[-1].kind == STRING:
        return int.from_bytes(_bytes_of(literal), "big")
    value = _decimal_of(literal)
    if kind == "decimal":
        return _decimal(value, column)
    if kind in {"float", "double"}:
        rounded = float(value) if digits is None else round(float(value) * 10**digits) / 10**digits
        return rounded if kind == "double" else float32(struct.pack("<f", rounded), 0)[0]
    whole = int(value.to_integral_value(ROUND_HALF_UP))
    short = literal[-1].kind == STRING and len(literal[-1].text.strip()) < 3
    if kind == "year" and 0 <= whole < 100 and (whole or short):
        return whole + (2000 if whole < 70 else 1900)
    return whole


def _decimal(value: Decimal, column: Column) -> str:
    rounded = value.quantize(Decimal(1).scaleb(-(column.scale or 0)), ROUND_HALF_UP, _ENOUGH_DIGITS)
    return f"{rounded or abs(rounded):f}"


def _decimal_of(literal: Sequence[Word]) -> Decimal:
    word = literal[-1]
    if word.kind in {BIT, HEX}:
        return Decimal(int(word.text or "0", 2 if word.kind == BIT else 16))
    if word.upper in {"TRUE", "FALSE"}:
        return Decimal(word.upper == "TRUE")
    text = ("-" if literal[0].upper == "-" else "") + word.text.strip()
    try:
        value = Decimal(text)
    except InvalidOperation as error:
        raise Untold("is a number in a form that is not known here") from error
    if not value.is_finite():
        raise Untold("is no number")
    return value


def _text_of(literal: Sequence[Word], column: Column) -> str:
    first, last = literal[0], literal[-1]
    if first.kind == INTRODUCER:
        if not all(word.text.isascii() for word in literal):
            raise Untold("is text in a charset of its own")
        literal = literal[1:]
    if first.kind == NATIONAL or all(word.kind == STRING for word in literal):
        return "".join(word.text for word in literal)
    if last.kind == NUMBER and re.fullmatch(r"\d+(\.\d+)?", last.text):
        return ("-" if first.upper == "-" else "") + last.text
    if last.upper in {"TRUE", "FALSE"}:
        return str(int(last.upper == "TRUE"))
    if last.kind in {HEX, BIT}:
        decode = text_decoder(column.charset or "")
        if decode is not None:
            return decode(_bytes_of(literal))
    raise Untold("is a constant in a form that is not known here")


def _bytes_of(literal: Sequence[Word]) -> bytes:
    word = literal[-1]
    if word.kind == HEX:
        return bytes.fromhex(word.text if len(word.text) % 2 == 0 else f"0{word.text}")
    if word.kind == BIT:
        return int(word.text or "0", 2).to_bytes((len(word.text) + 7) // 8, "big")
    if word.kind in {STRING, NATIONAL} and all(each.text.isascii() for each in literal):
        return "".join(each.text for each in literal if each.kind != INTRODUCER).encode()
    if word.kind == NUMBER and len(literal) == 1:
        return word.text.encode()
    raise Untold("is bytes in a form that is not known here")


def _temporal(column: Column, text: str, context: Context) -> str:
    text = text.strip()
    if text.strip("0:-. T") == "" and len(text.strip()) <= 26:
        return zero(column)
    if column.type == "time":
        return _time(column, text)
    date_text, _, time_text = text.replace("T", " ").partition(" ")
    date = _DATE.fullmatch(date_text)
    if date is None:
        raise Untold("is a date in a form that is not known here")
    year, month, day = filter(None, date.groups())
    shown = f"{year}-{month:0>2}-{day:0>2}"
    if column.type == "date":
        return shown
    local = f"{shown}T{_time(column, time_text) if time_text else _ZERO_TIME + _fraction(0, column)}"
    return local if column.type == "datetime" else _utc(local, column, context)


def _utc(local: str, column: Column, context: Context) -> str:
    seconds, _, fraction = local.partition(".")
    moment = datetime.strptime(seconds, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=_zone(context)).astimezone(UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}{'.' if fraction else ''}{fraction}Z"


def _time(column: Column, text: str) -> str:
    parts = _TIME.fullmatch(text)
    if parts is None:
        raise Untold("is a time in a form that is not known here")
    given, scale = parts[5] or "", column.scale or 0
    if given[scale:].strip("0"):
        raise Untold("has more digits of fraction than the column")
    fraction = f".{given[:scale]:0<{scale}}" if scale else ""
    return f"{parts[1]}{parts[2]:0>2}:{parts[3]:0>2}:{parts[4] or '':0>2}{fraction}"


def _fraction(microseconds: int, column: Column) -> str:
    return f".{microseconds:06}"[: column.scale + 1] if column.scale else ""


def _member(text: str, column: Column) -> str:
    text = text.rstrip(" ")
    for same in (text.__eq__, lambda member: member.casefold() == text.casefold()):
        found = [member for member in column.members if same(member)]
        if len(found) == 1:
            return found[0]
    if text == "":
        return ""
    raise Untold("is none of its members as they are written")


def _members(text: str, column: Column) -> str:
    chosen = {_member(one, column) for one in text.split(",")} if text else set()
    return ",".join(member for member in column.members if member in chosen)


def _json(text: str, literal: Sequence[Word]) -> str:
    """As SELECT prints it, which is certain for a scalar without a fraction and for what is empty."""
    if literal[-1].kind != STRING:
        raise Untold("is JSON in a form that is not known here")
    try:
        value = json.loads(text)
    except ValueError as error:
        raise Untold("is JSON in a form that is not known here") from error
    if value in ([], {}, None) or isinstance(value, bool | int):
        return json.dumps(value)
    raise Untold("is JSON, whose text is the server's to write")


def _address(kind: str, text: str) -> str:
    try:
        if kind == "uuid":
            return str(uuid.UUID(text))
        if kind == "inet4":
            return str(ipaddress.IPv4Address(text))
        if kind == "inet6":
            return str(ipaddress.IPv6Address(text))
    except ValueError as error:
        raise Untold("is an address in a form that is not known here") from error
    raise Untold(f"is of type {kind}")


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")
