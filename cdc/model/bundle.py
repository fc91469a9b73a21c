"""Many copied rows of a lane as one message of a queue, which says once what their change events have in common.

    {"copied":2,"source":{…},"op":"r","ts_ms":…,
     "transaction":{"id":…,"total_order":7,"data_collection_order":7,"end":true},
     "rows":[{"key":{…},"after":{…}},{"key":{…},"after":{…}}]}

It has no key of its own. The orders are those of its first row; the next ones count on from there. The change event of each row
is what `messages_of` makes, byte for byte what a queue without bundles has of it. Written by cdc.model.packed; read by
cdc.model.received, which leaves to this module what it does not take.
"""

import json
import re
from collections.abc import Iterable
from typing import Final

import orjson

from cdc.model.change import Change, Received, parse
from cdc.model.errors import PoisonMessage

BUNDLE_ROWS: Final = 1000
"""Rows of a bundle, at most: a batch holds whole bundles."""
BUNDLE_BYTES: Final = 128 * 1024
"""Of a bundle, at most; a larger row is a message of its own."""

_BEGIN: Final = b'{"copied":'
_HEAD: Final = re.compile(r'\{"copied":([1-9][0-9]{0,5})(?=,"source":\{)')
_SOURCE: Final = ',"source":'
_TRANSACTION: Final = re.compile(r',"op":"r","ts_ms":[0-9]+,"transaction":\{"id":(?=")')
_ORDERS: Final = re.compile(r',"total_order":(0|[1-9][0-9]{0,17}),"data_collection_order":\1,"end":true\},"rows":\[')
_ORDER: Final = ',"total_order":'
_decoder = json.JSONDecoder()


def is_bundle(key: bytes | None, value: bytes) -> bool:
    return not key and value.startswith(_BEGIN)


def expanded(received: Iterable[Received]) -> list[Received]:
    """Messages as a lane's entries have them, but for bundles: in their place stand their rows' own, all at the bundle's offset.
    A bundle that cannot be read stays: `parse` refuses it."""
    found: list[Received] = []
    for one in received:
        try:
            rows = messages_of(one.value) if is_bundle(one.key, one.value) else None
        except PoisonMessage:
            rows = None
        if rows is None:
            found.append(one)
        else:
            found += [Received(one.offset, key, value) for key, value in rows]
    return found


def messages_of(value: bytes) -> list[tuple[bytes, bytes]]:
    """Key and value of each row's change event. All can be read, or it raises PoisonMessage."""
    try:
        orjson.loads(value)  # stricter than `json`, which only tells here where a value ends
        made = _messages(value.decode())
    except (ValueError, RecursionError) as error:
        raise _poison(value) from error
    first = parse(*made[0])
    if not isinstance(first, Change) or not first.copied:
        raise _poison(value)
    return made


def _messages(text: str) -> list[tuple[bytes, bytes]]:
    head = _expect(_HEAD, text, 0)
    at = _end(text, head.end() + len(_SOURCE), dict)
    at = _end(text, _expect(_TRANSACTION, text, at).end(), str)
    orders = _expect(_ORDERS, text, at)
    shared = text[head.end() : at + len(_ORDER)]
    made: list[tuple[bytes, bytes]] = []
    at = orders.end()
    for order in range(int(orders[1]), int(orders[1]) + int(head[1])):
        begin = _behind('{"key":' if not made else ',{"key":', text, at)
        end = _end(text, begin, dict)
        key, begin = text[begin:end], _behind(',"after":', text, end)
        end = _end(text, begin, dict)
        value = (
            f'{{"before":null,"after":{text[begin:end]}{shared}{order},"data_collection_order":{order},"end":true}}}}'
        )
        made.append((key.encode(), value.encode()))
        at = _behind("}", text, end)
    if _behind("]}", text, at) != len(text):
        raise ValueError("more follows")
    return made


def _expect(pattern: re.Pattern[str], text: str, at: int) -> re.Match[str]:
    found = pattern.match(text, at)
    if found is None:
        raise ValueError(f"not a bundle at {at}")
    return found


def _behind(literal: str, text: str, at: int) -> int:
    if not text.startswith(literal, at):
        raise ValueError(f"not a bundle at {at}")
    return at + len(literal)


def _end(text: str, at: int, kind: type) -> int:
    """Where the value ends that begins there."""
    value, end = _decoder.raw_decode(text, at)
    if not isinstance(value, kind):
        raise ValueError(f"not a {kind.__name__} at {at}")
    return end


def _poison(value: bytes) -> PoisonMessage:
    return PoisonMessage(
        f"a message of {len(value)} bytes in the queue is not a bundle of copied rows",
        hint="find out who else writes to this queue; `cdc replay` sends the true ones again",
    )
