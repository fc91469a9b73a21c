"""Charsets that have two codes for some characters, which are one text in UTF-8: in a key two rows would become one.

Tests hold the sets to the decoders (no two codes that are not second ones have one text) and to the servers: what they make of a
text, SELECT HEX(CONVERT(_utf8mb4'∵' USING cp932)), never has a second code. So text that came in as UTF-8 has none; what a client
wrote in the charset itself may have.
"""

import re
from collections.abc import Callable

from cdc.binlog.decoder.charsets import TextDecoder
from cdc.binlog.decoder.euc import codes
from cdc.model.errors import NotUnderstood

_ARMSCII8 = frozenset(b"\xa4\xa5\xa9\xab\xac\xff")
_UJIS = frozenset((b"\xa1\xc0", b"\x8f\xa2\xb7"))
_EUCJPMS = frozenset(
    (
        *(b"\x8f\xa2\xb7", b"\x8f\xa2\xf1"),
        *(bytes((0xAD, cell)) for cell in (0xF0, 0xF1, 0xF2, 0xF5, 0xF6, 0xF7, 0xFA, 0xFB, 0xFC)),
        *(bytes((0x8F, 0xF3, cell)) for cell in (0xFD, 0xFE)),
        *(bytes((0x8F, 0xF4, cell)) for cell in (*range(0xA1, 0xA9), 0xAB, 0xAC, 0xAD)),
    )
)


# NEC's selection of IBM's characters; those of NEC's row 13 that JIS has; those of IBM's that JIS or row 13 has.
_CP932 = frozenset(
    (
        *(bytes((lead, cell)) for lead in (0xED, 0xEE) for cell in range(0x40, 0xFD)),
        *(bytes((0x87, cell)) for cell in (0x90, 0x91, 0x92, 0x95, 0x96, 0x97, 0x9A, 0x9B, 0x9C)),
        *(bytes((0xFA, cell)) for cell in (*range(0x4A, 0x55), *range(0x58, 0x5C))),
    )
)
_CODE_OF_CP932 = re.compile(rb"[\x81-\x9f\xe0-\xfc].|.", re.DOTALL)


def _in_armscii8(raw: bytes) -> bool:
    return not _ARMSCII8.isdisjoint(raw)


def _in_cp932(raw: bytes) -> bool:
    return not raw.isascii() and not _CP932.isdisjoint(_CODE_OF_CP932.findall(raw))


def _in_sjis(raw: bytes) -> bool:
    """The backslash of ASCII: of one that comes in as UTF-8 a server makes the two-byte one."""
    return "\\" in raw.decode("shift_jis")


def _in_ujis(raw: bytes) -> bool:
    return not raw.isascii() and not _UJIS.isdisjoint(codes(raw))


def _in_eucjpms(raw: bytes) -> bool:
    return not raw.isascii() and not _EUCJPMS.isdisjoint(codes(raw))


SECOND_CODES: dict[str, Callable[[bytes], bool]] = {
    "armscii8": _in_armscii8,
    "cp932": _in_cp932,
    "eucjpms": _in_eucjpms,
    "sjis": _in_sjis,
    "ujis": _in_ujis,
}
"""By charset: whether bytes that are text in it have a second code of some character. Charsets that are not here have none."""


def of_a_key(decode: TextDecoder, charset: str | None, table: str, column: str) -> TextDecoder:
    """`decode` for a key column (`table`: db.table), which raises NotUnderstood for text with a second code. For most charsets it
    is `decode` itself."""
    has_second = SECOND_CODES.get(charset or "")
    if has_second is None:
        return decode

    def read(raw: bytes) -> str:
        text = decode(raw)
        if has_second(raw):
            raise NotUnderstood(
                f"a row of {table}: column {column} is in the key, and a character in it is stored in the second of two codes "
                f"that {charset} has for it: as text it is that of another row, and two rows could become one",
                hint="convert the column to utf8mb4, or store the value in the first code, as the server does of CONVERT(column "
                "USING utf8mb4), and start reading behind that; or exclude the table from `tables`",
            )
        return text

    return read
