"""Values of single kinds by hand: what a server writes seldom or never, and what is damaged."""

import struct
import zlib

import pytest

from cdc.binlog.decoder import mariadb_types, old_temporal, spatial
from cdc.binlog.decoder.charset_tables import TABLES
from cdc.binlog.decoder.charsets import text_decoder
from cdc.binlog.decoder.compressed import inflated

# ---- MariaDB's COMPRESSED columns


def _packed(value: bytes, *, raw: bool = False, says: int | None = None) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS if raw else zlib.MAX_WBITS)
    length = (len(value) if says is None else says).to_bytes(4, "big").lstrip(b"\0")
    return bytes((0x80 | len(length) | (8 if raw else 0),)) + length + packer.compress(value) + packer.flush()


@pytest.mark.parametrize("raw", [False, True])
def test_a_compressed_value_comes_back(raw: bool) -> None:
    for value in (b"a", b"ab" * 5000, bytes(300)):
        assert inflated(_packed(value, raw=raw), len(value)) == value


def test_an_empty_value_and_one_that_is_not_compressed() -> None:
    assert inflated(b"", 10) == b""
    assert inflated(b"\0abc", 10) == b"abc"
    assert inflated(b"\0", 10) == b""


@pytest.mark.parametrize(
    "stored",
    [
        _packed(b"x" * 101),  # longer than the column
        _packed(b"x" * 50, says=51),
        _packed(b"x" * 50, says=49),
        _packed(b"x" * 50)[:-1],
        _packed(b"x" * 50) + b"y",
        b"\x81\x05not zlib at all",
        b"\x89\x05\xff\xff\xff",
        b"\x84\x00\x00",
        b"\x91\x01x",  # another method
    ],
)
def test_a_damaged_compressed_value_is_an_error(stored: bytes) -> None:
    with pytest.raises(ValueError, match="a compressed value"):
        inflated(stored, 100)


def test_a_bomb_is_not_unpacked() -> None:
    bomb = _packed(bytes(10_000_000))
    with pytest.raises(ValueError, match="says that it has 10000000 bytes"):
        inflated(bomb, 65_535)
    with pytest.raises(ValueError, match="says that it has 4294967295 bytes"):
        inflated(_packed(b"x", says=2**32 - 1), 2**32 - 1)
    with pytest.raises(ValueError, match="not of the 5 bytes"):
        inflated(_packed(bytes(10_000_000), says=5), 65_535)


# ---- MariaDB's fixed types


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (bytes(16), "::"),
        (bytes(15) + b"\1", "::1"),
        (b"\0\1" + bytes(14), "1::"),
        (bytes(10) + b"\xff\xff\1\2\3\4", "::ffff:1.2.3.4"),
        (bytes(12) + b"\1\2\3\4", "::1.2.3.4"),
        (b"\0\1\0\0\0\0\0\2\0\0\0\0\0\0\0\3", "1:0:0:2::3"),
        (b"\0\1\0\0\0\2\0\3\0\4\0\5\0\6\0\7", "1::2:3:4:5:6:7"),
        (b"\xff" * 16, ":".join(["ffff"] * 8)),
    ],
)
def test_inet6_is_laid_out_as_the_server_does(raw: bytes, text: str) -> None:
    stored = raw.rstrip(b"\0")
    assert mariadb_types.fixed("inet6", 1)(bytes((len(stored),)) + stored, 0) == (text, 1 + len(stored))


def test_fixed_types_are_not_longer_than_they_can_be() -> None:
    with pytest.raises(ValueError, match="inet4 has 4 bytes"):
        mariadb_types.fixed("inet4", 1)(b"\x05\1\2\3\4\5", 0)


# ---- geometry and vectors


def test_a_geometry_that_is_too_short_is_an_error() -> None:
    with pytest.raises(ValueError, match="too short"):
        spatial.geometry(4)(b"\x05\0\0\0" + bytes(5), 0)


@pytest.mark.parametrize("raw", [b"\x05\0\0\0" + bytes(5), b"\x08\0\0\0" + bytes(4)])
def test_a_vector_that_is_cut_short_is_an_error(raw: bytes) -> None:
    with pytest.raises(ValueError, match="cut short"):
        spatial.vector(4)(raw, 0)


def test_a_vector_has_finite_numbers() -> None:
    with pytest.raises(ValueError, match="no"):
        spatial.vector(4)(b"\x04\0\0\0" + struct.pack("<f", float("inf")), 0)


# ---- the old formats of dates and times


@pytest.mark.parametrize(
    ("reader", "raw"),
    [
        (old_temporal.time(0), (8_386_000).to_bytes(3, "little")),
        (old_temporal.time(0), (6_000).to_bytes(3, "little")),
        (old_temporal.datetime(0), (20_241_301_000_000).to_bytes(8, "little")),
        (old_temporal.datetime(0), (20_240_101_240_000).to_bytes(8, "little")),
        (old_temporal.datetime(3), b"\xff" * 7),
        (old_temporal.timestamp(2), b"\0\0\0\1\xff"),
    ],
)
def test_an_impossible_old_date_or_time_is_an_error(reader: object, raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"there is no such|too many digits"):
        reader(raw, 0)  # type: ignore[operator]


# ---- eucjpms


@pytest.mark.parametrize(
    "raw", [b"\xad\xb5\xad", b"\x8f\xf3\xa1", b"\xad\xbf", b"\x80", b"\x8e\xe0", b"\xa1\x20", b"\x8f\xa1\x20"]
)
def test_bytes_that_eucjpms_does_not_define_are_refused(raw: bytes) -> None:
    decode = text_decoder("eucjpms")
    assert decode is not None
    with pytest.raises(UnicodeDecodeError):
        decode(raw)


# ---- charsets by table


@pytest.mark.parametrize("charset", sorted(TABLES))
def test_a_byte_is_what_its_table_says_whatever_stands_beside_it(charset: str) -> None:
    decode = text_decoder(charset)
    assert decode is not None
    for byte, character in enumerate(TABLES[charset]):
        for text in (bytes((byte,)), bytes((byte, 0xE9 if TABLES[charset][0xE9] != "\ufffe" else 0x40))):
            if character == "\ufffe":
                with pytest.raises(UnicodeDecodeError):
                    decode(text)
            else:
                assert decode(text)[0] == character
