"""Two rows whose keys are one text, on real servers: neither is lost in silence; the reader stops at the second code."""

from contextlib import closing

import pytest

from cdc.binlog.decoder.charsets import text_decoder
from cdc.binlog.decoder.second_codes import SECOND_CODES
from cdc.binlog.rows_port import Wanted
from cdc.model.errors import NotUnderstood
from tests.fixtures.servers import Database
from tests.support.doctor import about, only
from tests.support.sources import drafts, execute, open_source, streaming, transactions
from tests.unit.test_second_codes import by_character

REFUSED = r"\.t: column k is in the key, and a character in it is stored in the second of two codes that {} has for it"
# The mathematical sign "because", of JIS and of NEC; the parenthesis, of ASCII and of Armenia.
TWO_CODES = {"cp932": ("81E6", "879A"), "armscii8": ("28", "A5")}


@pytest.mark.parametrize("charset", SECOND_CODES)
def test_the_server_makes_no_second_code_of_a_text(any_source_db: Database, charset: str) -> None:
    decode = text_decoder(charset)
    assert decode is not None
    doubles = [character for character, known in by_character(charset).items() if len(known) > 1]
    with any_source_db.connect() as connection, connection.cursor() as cursor:
        for character in doubles:
            cursor.execute(f"SELECT HEX(CONVERT(_utf8mb4 x'{character.encode().hex()}' USING {charset}))")
            stored = bytes.fromhex(cursor.fetchone()[0])
            assert decode(stored) == character
            assert not SECOND_CODES[charset](stored), character


@pytest.mark.parametrize("charset", TWO_CODES)
@pytest.mark.parametrize("decoder", ["python", "compiled"])
def test_two_keys_that_are_one_text_stop_the_reader(
    any_source_db: Database, decoder: str, charset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CDC_DECODER", decoder)
    first, second = TWO_CODES[charset]
    execute(
        any_source_db,
        f"CREATE TABLE t (k VARCHAR(9) CHARACTER SET {charset} COLLATE {charset}_bin PRIMARY KEY, v INT)",
        f"CREATE TABLE other (id INT PRIMARY KEY, k VARCHAR(9) CHARACTER SET {charset})",
    )
    with closing(open_source(any_source_db)) as source, streaming(source) as stream:
        execute(
            any_source_db,
            f"INSERT INTO other VALUES (1, CONVERT(x'{second}' USING {charset}))",
            f"INSERT INTO t VALUES (CONVERT(x'{first}' USING {charset}), 1)",
        )
        found = [draft for items in transactions(stream, 2) for draft in drafts(items)]
        # Beside the key it is a text like others.
        assert (found[0].after or {})["k"] == (found[1].after or {})["k"]
        # The server holds them apart: another row, with the same text.
        execute(any_source_db, f"INSERT INTO t VALUES (CONVERT(x'{second}' USING {charset}), 2)")
        with pytest.raises(NotUnderstood, match=REFUSED.format(charset)):
            transactions(stream, 1)


@pytest.mark.parametrize("charset", TWO_CODES)
def test_such_a_key_is_not_read_by_select_either_and_the_doctor_names_it(any_source_db: Database, charset: str) -> None:
    first, second = TWO_CODES[charset]
    execute(
        any_source_db,
        f"CREATE TABLE t (k VARCHAR(9) CHARACTER SET {charset} COLLATE {charset}_bin PRIMARY KEY, v INT)",
        "CREATE TABLE fine (k VARCHAR(9) CHARACTER SET utf8mb4 PRIMARY KEY)",
        f"INSERT INTO t VALUES (CONVERT(x'{first}' USING {charset}), 1)",
    )
    with closing(open_source(any_source_db)) as source:
        wanted = Wanted(any_source_db.dbname, "t")
        assert len(source.chunk(wanted).rows) == 1
        execute(any_source_db, f"INSERT INTO t VALUES (CONVERT(x'{second}' USING {charset}), 2)")
        with pytest.raises(NotUnderstood, match=REFUSED.format(charset)):
            source.chunk(wanted)
        findings = list(source.check())
    assert f"{any_source_db.dbname}.t.k" in only(findings, "key charset", "warning").text
    assert len(about(findings, "key charset")) == 1
