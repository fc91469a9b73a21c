"""ujis and eucjpms: Python's euc_jp, user-defined characters, and, in eucjpms, those of Windows.

The rows are generated, and a test holds all codes to the servers:
SELECT CONVERT(CONVERT(x'ada1' USING eucjpms) USING utf8mb4), for each code of the rows AD, 8FF3 and 8FF4; MySQL 9.7 and MariaDB
10.11 agree. U+FFFE stands for a code that the charset does not define.
"""

import re
from functools import lru_cache

_FIRST, _CELLS = 0xA1, 94
_ROWS = {
    b"\xad": (
        "①②③④⑤⑥⑦⑧⑨⑩⑪⑫⑬⑭⑮⑯⑰⑱⑲⑳ⅠⅡⅢⅣⅤⅥⅦⅧⅨⅩ\ufffe㍉㌔㌢㍍㌘㌧㌃㌶㍑㍗㌍㌦㌣㌫㍊㌻"
        "㎜㎝㎞㎎㎏㏄㎡\ufffe\ufffe\ufffe\ufffe\ufffe\ufffe\ufffe\ufffe㍻〝〟№㏍℡㊤㊥㊦㊧㊨㈱㈲㈹㍾㍽㍼≒≡∫∮∑√⊥∠∟⊿∵∩∪\ufffe\ufffe"
    ),
    b"\x8f\xf3": "\ufffe" * 82 + "ⅰⅱⅲⅳⅴⅵⅶⅷⅸⅹⅠⅡ",
    b"\x8f\xf4": (
        "ⅢⅣⅤⅥⅦⅧⅨⅩ＇＂㈱№℡炻仼僴凬匇匤﨎咊坙﨏塚增寬峵嵓﨑德悅愠敎昻晥晴朗栁﨓﨔橫櫢淸淲瀨凞猪"
        "甁皂皞益礰礼神祥福竧靖精綠緖羽荢﨟薰蘒﨡蠇諸譿賴赶﨣﨤逸郞都鄕﨧﨨閒隆﨩霻靍靑飯飼館馞髙魲鶴黑"
    ),
}
_OTHERS = {
    b"\xa1\xc1": "\uff5e",
    b"\xa1\xc2": "\u2225",
    b"\xa1\xdd": "\uff0d",
    b"\xa1\xf1": "\uffe0",
    b"\xa1\xf2": "\uffe1",
    b"\xa2\xcc": "\uffe2",
    b"\x8f\xa2\xb7": "\uff5e",
    b"\x8f\xa2\xc3": "\uffe4",
}
"""Where Python has the character of JIS."""

_USER_DEFINED_ROW = 0xF5
"""From here on, 940 private-use characters in two bytes, and 940 more in three."""

_KATAKANA = 0x8E
"""Before one byte of half-width katakana."""

_CODE = re.compile(rb"[\x00-\x7f]|\x8e.|\x8f..|[\xa1-\xfe].", re.DOTALL)


def eucjpms(raw: bytes) -> str:
    """Raises UnicodeDecodeError for bytes that the charset does not define."""
    if raw.isascii():
        return raw.decode("ascii")
    return "".join([_of_windows(code) for code in codes(raw)])


def ujis(raw: bytes) -> str:
    """The two-byte backslash is U+005C to MySQL, U+FF3C to Python, and has no other code in either."""
    try:
        text = raw.decode("euc_jp")
    except UnicodeDecodeError:
        text = "".join([_user_defined(code) or code.decode("euc_jp") for code in codes(raw)])
    return text.replace("\uff3c", "\\")


def codes(raw: bytes) -> list[bytes]:
    """Of each character. Raises UnicodeDecodeError where they do not cut the bytes up."""
    found: list[bytes] = _CODE.findall(raw)
    if sum(map(len, found)) != len(raw):
        raise _undefined(raw)
    return found


@lru_cache(maxsize=32768)
def _of_windows(code: bytes) -> str:
    if code in _OTHERS:
        return _OTHERS[code]
    row, cell = code[:-1], code[-1] - _FIRST
    if row in _ROWS:
        character = _ROWS[row][cell] if 0 <= cell < _CELLS else "\ufffe"
        if character == "\ufffe":
            raise _undefined(code)
        return character
    return _user_defined(code) or code.decode("euc_jp")


def _user_defined(code: bytes) -> str:
    """The private-use character of a code from row F5 on, in two bytes or three; "" for any other."""
    *_, row, cell = (0, *code)
    if len(code) < 2 or code[0] == _KATAKANA or row < _USER_DEFINED_ROW or not 0 <= cell - _FIRST < _CELLS:
        return ""
    number = (row - _USER_DEFINED_ROW) * _CELLS + cell - _FIRST
    return chr(0xE000 + number + (10 * _CELLS if len(code) == 3 else 0))


def _undefined(raw: bytes) -> UnicodeDecodeError:
    return UnicodeDecodeError("euc", raw, 0, len(raw), "a code that the charset does not define")
