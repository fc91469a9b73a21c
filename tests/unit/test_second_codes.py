"""Charsets that have two codes for some characters: which codes are the second ones, and that keys do not have them."""

from collections import defaultdict
from collections.abc import Iterator

import pytest

from cdc.binlog.decoder.charsets import BYTES_PER_CHARACTER, text_decoder
from cdc.binlog.decoder.second_codes import SECOND_CODES, of_a_key
from cdc.model.errors import NotUnderstood

SHORT = [
    *("armscii8", "ascii", "big5", "cp1250", "cp1251", "cp1256", "cp1257", "cp850", "cp852", "cp866", "cp932", "dec8"),
    *("eucjpms", "euckr", "gb2312", "gbk", "geostd8", "greek", "hebrew", "hp8", "keybcs2", "koi8r", "koi8u", "latin1"),
    *("latin2", "latin5", "latin7", "macce", "macroman", "sjis", "swe7", "tis620", "ujis"),
]


def codes(charset: str) -> Iterator[bytes]:
    most = BYTES_PER_CHARACTER.get(charset, 1)
    yield from (bytes((code,)) for code in range(256))
    if most > 1:
        yield from (bytes((lead, code)) for lead in range(0x80, 256) for code in range(0x30, 256))
    if most > 2:
        yield from (bytes((0x8F, lead, code)) for lead in range(0xA1, 255) for code in range(0xA1, 255))


def by_character(charset: str) -> dict[str, list[bytes]]:
    decode = text_decoder(charset)
    assert decode is not None
    found: dict[str, list[bytes]] = defaultdict(list)
    for code in codes(charset):
        try:
            text = decode(code)
        except UnicodeDecodeError:
            continue
        if len(text) == 1:
            found[text].append(code)
    return found


@pytest.mark.parametrize("charset", SHORT)
def test_each_character_has_one_code_that_is_not_a_second_one(charset: str) -> None:
    """Characters of four bytes are gb18030's alone, which has all of Unicode, each once."""
    has_second = SECOND_CODES.get(charset, lambda raw: False)
    for character, known in by_character(charset).items():
        assert sum(not has_second(code) for code in known) == 1, (character, known)


@pytest.mark.parametrize("charset", SECOND_CODES)
def test_a_key_with_a_second_code_is_refused_wherever_it_stands(charset: str) -> None:
    decode = text_decoder(charset)
    assert decode is not None
    read = of_a_key(decode, charset, "shop.t", "k")
    for character, known in by_character(charset).items():
        if len(known) > 1:
            (first,) = [code for code in known if not SECOND_CODES[charset](code)]
            assert read(b"a" + first + b"b") == f"a{character}b"
            for second in set(known) - {first}:
                with pytest.raises(NotUnderstood, match=f"shop.t: column k is in the key.* that {charset} has"):
                    read(b"a" + second + b"b")


@pytest.mark.parametrize("charset", ["utf8mb4", "latin1", "gbk"])
def test_other_charsets_are_read_as_ever(charset: str) -> None:
    decode = text_decoder(charset)
    assert decode is not None
    assert of_a_key(decode, charset, "shop.t", "k") is decode
