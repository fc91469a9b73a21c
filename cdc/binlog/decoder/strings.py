"""Readers of text, bytes, enumerations and sets."""

from base64 import b64encode

from cdc.binlog.decoder.charsets import TextDecoder
from cdc.binlog.decoder.plan import Reader
from cdc.model.change import Value


def text(prefix: int, decode: TextDecoder) -> Reader:
    """Characters behind their length in `prefix` bytes."""
    if prefix == 1:

        def read_short(data: bytes, start: int) -> tuple[Value, int]:
            start += 1
            end = start + data[start - 1]
            return decode(data[start:end]), end

        return read_short
    if prefix == 2:

        def read_middle(data: bytes, start: int) -> tuple[Value, int]:
            end = start + 2 + (data[start] | data[start + 1] << 8)
            return decode(data[start + 2 : end]), end

        return read_middle

    def read(data: bytes, start: int) -> tuple[Value, int]:
        start += prefix
        end = start + int.from_bytes(data[start - prefix : start], "little")
        return decode(data[start:end]), end

    return read


def base64_text(raw: bytes) -> str:
    return b64encode(raw).decode("ascii")


def base64(prefix: int) -> Reader:
    """VARBINARY and BLOB."""

    def read(data: bytes, start: int) -> tuple[Value, int]:
        start += prefix
        end = start + int.from_bytes(data[start - prefix : start], "little")
        return base64_text(data[start:end]), end

    return read


def padded_base64(prefix: int, length: int) -> Reader:
    """BINARY(length): the binlog leaves out the zeros at the end, the table has them."""

    def read(data: bytes, start: int) -> tuple[Value, int]:
        start += prefix
        end = start + int.from_bytes(data[start - prefix : start], "little")
        return base64_text(data[start:end].ljust(length, b"\0")), end

    return read


def enum(length: int, members: tuple[str, ...]) -> Reader:
    """The member's number in 1 or 2 bytes; 0 is the empty string that stands for a refused value."""
    names = ("", *members)

    def read(data: bytes, start: int) -> tuple[Value, int]:
        end = start + length
        return names[int.from_bytes(data[start:end], "little")], end

    return read


def set_(length: int, members: tuple[str, ...]) -> Reader:
    """One bit for each member, the first the lowest; joined by commas in the order of the definition."""
    bits = tuple((1 << index, member) for index, member in enumerate(members))
    limit = 1 << len(members)

    def read(data: bytes, start: int) -> tuple[Value, int]:
        end = start + length
        chosen = int.from_bytes(data[start:end], "little")
        if chosen >= limit:
            raise ValueError("a set with a member that it does not have")
        return ",".join([member for bit, member in bits if chosen & bit]), end

    return read
