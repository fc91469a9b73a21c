"""Readers of MariaDB's UUID, INET4 and INET6 as the text that SELECT prints.

In the binlog they are BINARY, and only the schema history tells them from it.

The bytes are in the order of the text, whatever order the engine stores them in (sql/sql_type_fixedbin.h, `Field_fbt::pack`).
"""

from collections.abc import Callable

from cdc.binlog.decoder.plan import Reader
from cdc.model.change import Value

LENGTHS = {"uuid": 16, "inet6": 16, "inet4": 4}
"""Bytes of each type."""


def _uuid(raw: bytes) -> str:
    digits = raw.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _inet4(raw: bytes) -> str:
    return ".".join(map(str, raw))


def _inet6(raw: bytes) -> str:
    """The first of the longest runs of zero words is `::`; addresses that wrap an IPv4 one end in that
    (plugin/type_inet/sql_type_inet.cc, `Inet6::to_string`)."""
    words = [int.from_bytes(raw[index : index + 2], "big") for index in range(0, 16, 2)]
    begin, length = _longest_gap(words)
    if begin == 0 and (length == 6 or (length == 5 and words[5] == 0xFFFF)):
        return ("::" if length == 6 else "::ffff:") + _inet4(raw[12:])
    if not length:
        return ":".join([f"{word:x}" for word in words])
    before, behind = words[:begin], words[begin + length :]
    return ":".join([f"{word:x}" for word in before]) + "::" + ":".join([f"{word:x}" for word in behind])


def _longest_gap(words: list[int]) -> tuple[int, int]:
    """(where it begins, how long it is) of the first of the longest runs of zeros."""
    best, begin = (0, 0), 0
    for index, word in enumerate([*words, 1]):
        if word:
            if index - begin > best[1]:
                best = (begin, index - begin)
            begin = index + 1
    return best


_TEXTS: dict[str, Callable[[bytes], str]] = {"uuid": _uuid, "inet6": _inet6, "inet4": _inet4}


def fixed(kind: str, prefix: int) -> Reader:
    """The length in `prefix` bytes, then the value without the zeros at its end."""
    length, text = LENGTHS[kind], _TEXTS[kind]

    def read(data: bytes, start: int) -> tuple[Value, int]:
        start += prefix
        end = start + int.from_bytes(data[start - prefix : start], "little")
        if end - start > length:
            raise ValueError(f"{kind} has {length} bytes")
        return text(data[start:end].ljust(length, b"\0")), end

    return read
