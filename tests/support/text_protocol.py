"""Rows as a server sends them (text protocol, see cdc.binlog.selecting.rows)."""

from collections.abc import Sequence


def sent(*values: bytes | None) -> bytes:
    """A row's payload."""
    return b"".join(b"\xfb" if value is None else _length(len(value)) + value for value in values)


def _length(number: int) -> bytes:
    if number < 0xFB:
        return bytes((number,))
    for head, width in ((0xFC, 2), (0xFD, 3)):
        if number < 256**width:
            return bytes((head,)) + number.to_bytes(width, "little")
    return b"\xfe" + number.to_bytes(8, "little")


def packets(rows: Sequence[bytes], number: int = 0) -> bytes:
    """The first of them has `number`."""
    return b"".join(
        len(row).to_bytes(3, "little") + bytes(((number + place) & 0xFF,)) + row for place, row in enumerate(rows)
    )
