"""MySQL's charsets as functions from bytes to text, each one exact or absent."""

import codecs
import re
from collections.abc import Callable
from functools import partial

from cdc.binlog.decoder import euc
from cdc.binlog.decoder.charset_tables import TABLES

TextDecoder = Callable[[bytes], str]
"""Raises UnicodeDecodeError for bytes that the charset does not define."""

BINARY_COLLATION = 63

BYTES_PER_CHARACTER = {
    **dict.fromkeys(("big5", "cp932", "euckr", "gb2312", "gbk", "sjis", "ucs2"), 2),
    **dict.fromkeys(("eucjpms", "ujis", "utf8mb3"), 3),
    **dict.fromkeys(("gb18030", "utf16", "utf16le", "utf32", "utf8mb4"), 4),
}
"""The most bytes that one character takes (SHOW CHARACTER SET, Maxlen); 1 where not listed."""

# Compared with the servers' CONVERT(… USING utf8mb4), byte sequence by byte sequence.
_CODECS = {
    "ascii": "ascii",
    "cp1250": "cp1250",
    "cp1251": "cp1251",
    "cp1257": "cp1257",
    "cp850": "cp850",
    "cp852": "cp852",
    "cp932": "cp932",
    "euckr": "cp949",  # MySQL's euckr holds all of the unified Hangul code
    "gb2312": "gb2312",
    "gbk": "gbk",
    "hp8": "hp_roman8",
    "koi8r": "koi8_r",
    "latin2": "iso8859_2",
    "latin5": "iso8859_9",
    "latin7": "iso8859_13",
    "macce": "mac_latin2",
    "macroman": "mac_roman",
    "tis620": "tis_620",
    "utf16": "utf-16-be",
    "utf16le": "utf-16-le",
    "utf32": "utf-32-be",
}


def _by_codec(codec: str, raw: bytes) -> str:
    return raw.decode(codec)


def _by_table(table: str, raw: bytes) -> str:
    return codecs.charmap_decode(raw, "strict", table)[0]


def _by_ascii_table(table: str, raw: bytes) -> str:
    """Where the table has ASCII, which most text is made of, Python's own is five times as fast."""
    return raw.decode("ascii") if raw.isascii() else _by_table(table, raw)


def _table_decoder(table: str) -> TextDecoder:
    has_ascii = table[:128] == bytes(range(128)).decode("ascii")  # swe7 has not
    return partial(_by_ascii_table if has_ascii else _by_table, table)


def _ucs2(raw: bytes) -> str:
    """UCS-2 knows no surrogate pairs; MySQL shows each half as a character that it cannot convert."""
    text = raw.decode("utf-16-be")
    if 2 * len(text) != len(raw):
        raise UnicodeDecodeError("ucs2", raw, 0, len(raw), "a surrogate")
    return text


def _sjis(raw: bytes) -> str:
    """The two-byte backslash is U+005C to MySQL, U+FF3C to Python, and has no other code in either."""
    return raw.decode("shift_jis").replace("\uff3c", "\\")


def _big5(raw: bytes) -> str:
    """Seven characters of ETEN are MySQL's too, and not Python's."""
    if b"\xf9" not in raw:
        return _plain_big5(raw)
    codes = _BIG5_CODE.findall(raw)
    if sum(map(len, codes)) != len(raw):
        raise UnicodeDecodeError("big5", raw, 0, len(raw), "half a character")
    return "".join([code.decode("cp950") if _FROM_ETEN <= code <= _TO_ETEN else _plain_big5(code) for code in codes])


_BIG5_CODE = re.compile(rb"[\x00-\x7f]|[\x80-\xff].", re.DOTALL)
_FROM_ETEN, _TO_ETEN = b"\xf9\xd6", b"\xf9\xdc"


def _plain_big5(raw: bytes) -> str:
    """Seven codes that the server maps to U+FFFD are refused: four are second codes of a character, three are listed here."""
    text = raw.decode("big5")
    if text.encode("big5") != raw or not _BIG5_UNMAPPED.isdisjoint(text):
        raise UnicodeDecodeError("big5", raw, 0, len(raw), "a code that the server shows as U+FFFD")
    return text


_BIG5_UNMAPPED = frozenset("\u2574\uffe3\u02cd")


def _gb18030(raw: bytes) -> str:
    """A8BC was a private-use character until GB 18030-2005, which MySQL follows."""
    return raw.decode("gb18030").translate({0xE7C7: 0x1E3F, 0x1E3F: 0xE7C7})


_DECODERS: dict[str, TextDecoder] = {
    "utf8mb4": bytes.decode,
    "utf8mb3": bytes.decode,
    "ucs2": _ucs2,
    "sjis": _sjis,
    "ujis": euc.ujis,
    "big5": _big5,
    "eucjpms": euc.eucjpms,
    "gb18030": _gb18030,
    **{charset: partial(_by_codec, codec) for charset, codec in _CODECS.items()},
    **{charset: _table_decoder(table) for charset, table in TABLES.items()},
}


def text_decoder(charset: str) -> TextDecoder | None:
    """How to read text of a MySQL charset; None where we have no exact way (and for `binary`, which is not text)."""
    return _DECODERS.get(charset)
