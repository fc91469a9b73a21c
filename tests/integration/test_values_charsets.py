"""Charsets and collations: every one of both servers is known, and every character of each is read as SELECT shows it."""

from collections.abc import Iterator

import pytest

from cdc.binlog.decoder import load
from cdc.binlog.decoder.charsets import BYTES_PER_CHARACTER, TextDecoder, text_decoder
from cdc.binlog.decoder.collations import COLLATIONS, charset_of
from cdc.model.errors import NotUnderstood
from tests.fixtures.servers import Database
from tests.support.type_space import UNREADABLE
from tests.support.value_oracle import Oracle

CHARSETS = [
    *("armscii8", "ascii", "big5", "cp1250", "cp1251", "cp1256", "cp1257", "cp850", "cp852", "cp866", "cp932", "dec8"),
    *(
        "eucjpms",
        "euckr",
        "gb18030",
        "gb2312",
        "gbk",
        "geostd8",
        "greek",
        "hebrew",
        "hp8",
        "keybcs2",
        "koi8r",
        "koi8u",
        "latin1",
    ),
    *("latin2", "latin5", "latin7", "macce", "macroman", "sjis", "swe7", "tis620", "ucs2", "ujis", "utf16", "utf16le"),
    *("utf32", "utf8mb3", "utf8mb4"),
]


@pytest.fixture
def oracle(any_source_db: Database) -> Iterator[Oracle]:
    oracle = Oracle(any_source_db, load("python"))
    yield oracle
    oracle.close()


def _server_charsets(database: Database) -> dict[str, int]:
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT character_set_name, maxlen FROM information_schema.character_sets")
        return dict(cursor.fetchall())


def test_every_charset_of_the_server_is_decided(any_source_db: Database) -> None:
    widths = _server_charsets(any_source_db)
    assert set(widths) - {"binary"} <= set(CHARSETS)
    assert {charset for charset in widths if text_decoder(charset) is None} == {"binary"}
    for charset, width in widths.items():
        assert BYTES_PER_CHARACTER.get(charset, 1) == width, charset


def test_every_collation_of_mysql_is_known(mysql_db: Database) -> None:
    with mysql_db.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT id, collation_name, character_set_name FROM information_schema.collations")
        for number, name, charset in cursor.fetchall():
            assert COLLATIONS[number] == name
            assert charset_of(COLLATIONS[number]) == charset


def test_every_collation_of_mariadb_is_known(mariadb_db: Database) -> None:
    with mariadb_db.connect() as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, character_set_name FROM information_schema.collation_character_set_applicability "
            "WHERE id IS NOT NULL"
        )
        for number, charset in cursor.fetchall():
            assert charset_of(COLLATIONS[number]) == charset


def _characters(charset: str) -> list[str]:
    """All of the basic plane but surrogates, and some of the others, 64 in a piece."""
    code_points = [
        *range(0xD800),
        *range(0xE000, 0x10000),
        *range(0x1F600, 0x1F680),
        *range(0x20000, 0x20200),
        0x10FFFF,
    ]
    text = "".join(character for code in code_points if (character := chr(code)) not in UNREADABLE.get(charset, ()))
    return [text[start : start + 64] for start in range(0, len(text), 64)]


@pytest.mark.parametrize("charset", CHARSETS)
def test_every_character_that_the_charset_has(oracle: Oracle, any_source_db: Database, charset: str) -> None:
    if charset not in _server_charsets(any_source_db):
        pytest.skip(f"{oracle.flavor} has no {charset}")
    decoded = oracle.compare(f"TEXT CHARACTER SET {charset}", _characters(charset))
    assert any("~" in str(text) for text in decoded) or charset == "swe7"


ONE_BYTE = [charset for charset in CHARSETS if BYTES_PER_CHARACTER.get(charset, 1) == 1]


@pytest.mark.parametrize("charset", ONE_BYTE)
def test_every_byte_that_the_charset_defines(oracle: Oracle, charset: str) -> None:
    decode = text_decoder(charset)
    assert decode is not None
    defined = [f"{code:02x}" for code in range(256) if _is_defined(decode, bytes([code]))]
    oracle.compare(f"VARCHAR(3) CHARACTER SET {charset}", defined, insert=f"CONVERT(UNHEX(%s) USING {charset})")


@pytest.mark.parametrize("first", [b"", b"\x8f"])
@pytest.mark.parametrize("charset", ["eucjpms", "ujis"])
def test_every_code_of_the_euc_charsets(oracle: Oracle, charset: str, first: bytes) -> None:
    """Some are not those of Python's codec: all that are defined are compared, the user-defined ones too."""
    decode = text_decoder(charset)
    assert decode is not None
    rows = []
    for lead in range(0xA1, 0xFF):
        codes = [first + bytes((lead, cell)) for cell in range(0xA1, 0xFF)]
        rows.append(b"".join(code for code in codes if _is_defined(decode, code)).hex())
    assert sum(map(len, rows)) > 2 * 2 * 6000
    oracle.compare(f"TEXT CHARACTER SET {charset}", rows, insert=f"CONVERT(UNHEX(%s) USING {charset})")


def _is_defined(decode: TextDecoder, code: bytes) -> bool:
    try:
        decode(code)
    except UnicodeDecodeError:
        return False
    return True


@pytest.mark.parametrize(
    ("charset", "character"), [(charset, min(UNREADABLE[charset])) for charset in sorted(UNREADABLE)]
)
def test_a_character_that_python_lacks_stops_with_table_and_column(
    oracle: Oracle, charset: str, character: str
) -> None:
    with pytest.raises(NotUnderstood, match=f"column v: its bytes are not text in its charset {charset}"):
        oracle.compare(f"TEXT CHARACTER SET {charset}", [character])


def test_bytes_that_the_charset_does_not_define_stop_with_table_and_column(oracle: Oracle) -> None:
    with pytest.raises(NotUnderstood, match="column v: its bytes are not text in its charset cp1250"):
        oracle.compare("VARCHAR(10) CHARACTER SET cp1250", ["81"], insert="CONVERT(UNHEX(%s) USING cp1250)")


@pytest.mark.parametrize("charset", ["latin1", "utf16", "ucs2", "utf32", "gbk", "sjis"])
@pytest.mark.parametrize("type_name", ["CHAR(20)", "CHAR(100)", "VARCHAR(20)", "LONGTEXT"])
def test_lengths_and_padding_in_other_charsets(oracle: Oracle, charset: str, type_name: str) -> None:
    values = ["", "a", "a ", " a", "A" * 20, "é", "x" * 19 + " "]
    oracle.compare(f"{type_name} CHARACTER SET {charset}", values)
