"""What is to be published, cut into calls, each with its messages in one text (see publish.lua), or as one XADD for each."""

import struct
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from cdc.model.change import Message
from cdc.model.compiled import PackedMessages

CALL_BYTES: Final = 4 * 1024 * 1024
"""Redis serves nobody else while a script runs, and holds its arguments in memory twice."""
CALL_MESSAGES: Final = 5000
MANY: Final = 64

_SIZES = struct.Struct("<III")


class Appends(NamedTuple):
    """`largest`: the bytes of the largest message of each lane, key and value. `commands`: given each lane's stream, the token,
    and each lane's first number."""

    largest: Mapping[str, int]
    commands: Callable[[Mapping[str, bytes], int, Mapping[str, int]], bytearray]


class Part(NamedTuple):
    """`counts`: how many messages each lane has, in the order of their first ones. `text`: the messages, given the number of
    each lane's stream. `appends`: where there are so many, or so large ones, that one command for each costs Redis less than a
    script that cuts them from a text. `bundles`: of each lane that has any, their places among its messages, and their rows."""

    counts: Mapping[str, int]
    text: Callable[[Mapping[str, int]], bytes]
    appends: Appends | None = None
    bundles: Mapping[str, Sequence[tuple[int, int]]] = {}


def parts(messages: Sequence[Message], *, whole: bool = False) -> Iterator[Part]:
    """Parts of at most CALL_BYTES and CALL_MESSAGES, a larger message alone; at least one part, which may be empty.
    `whole`: one part, whatever its size."""
    if whole and isinstance(messages, PackedMessages):
        return iter((_packed_part(messages, 0, len(messages)),))
    if whole:
        return iter((_plain_part(messages),))
    return _packed(messages) if isinstance(messages, PackedMessages) else _plain(messages)


def _packed(messages: PackedMessages) -> Iterator[Part]:
    start = 0
    while True:
        end = messages.part(start, CALL_MESSAGES, CALL_BYTES)
        yield _packed_part(messages, start, end)
        start = end
        if start >= len(messages):
            return


def _packed_part(messages: PackedMessages, start: int, end: int) -> Part:
    appends = None
    bundles = messages.bundles(start, end)
    if end - start >= MANY or bundles:
        appends = Appends(
            messages.lane_largest(start, end),
            lambda streams, token, first_numbers: messages.appends(start, end, streams, token, first_numbers),
        )
    return Part(messages.lane_counts(start, end), lambda places: messages.blob(start, end, places), appends, bundles)


def _plain(messages: Sequence[Message]) -> Iterator[Part]:
    for part in split(messages):
        yield _plain_part(part)


def _plain_part(messages: Sequence[Message]) -> Part:
    def text(places: Mapping[str, int]) -> bytes:
        pieces: list[bytes] = []
        for lane, key, value in messages:
            pieces += (_SIZES.pack(places[lane], len(key or b""), len(value)), key or b"", value)
        return b"".join(pieces)

    return Part(Counter(message.lane for message in messages), text)


def split(messages: Sequence[Message]) -> Iterator[Sequence[Message]]:
    """As `parts`, of messages that are not packed."""
    start = size = 0
    for place, (_, key, value) in enumerate(messages):
        more = len(key or b"") + len(value)
        if place > start and (size + more > CALL_BYTES or place - start >= CALL_MESSAGES):
            yield messages[start:place]
            start, size = place, 0
        size += more
    yield messages[start:]
