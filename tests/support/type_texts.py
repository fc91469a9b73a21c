"""Text in every charset, bytes, enumerations and sets for `tests.support.type_space`."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

from cdc.model.schema import Column
from tests.support.type_kind import Kind, Literals, base64, of_type

CHARSETS = (
    *("armscii8", "ascii", "big5", "cp1250", "cp1251", "cp1256", "cp1257", "cp850", "cp852", "cp866", "cp932", "dec8"),
    *("eucjpms", "euckr", "gb2312", "gbk", "geostd8", "greek", "hebrew", "hp8", "keybcs2", "koi8r", "koi8u", "latin1"),
    *("latin2", "latin5", "latin7", "macce", "macroman", "sjis", "swe7", "tis620", "ucs2", "ujis", "utf16", "utf16le"),
    *("utf32", "utf8mb3", "utf8mb4"),
)
"""Of both servers; MySQL has gb18030 too."""

UNREADABLE = {"big5": {"\ufffd"}, "tis620": {"\ufffd"}}
"""What SELECT shows for codes that have no character: a row with one stops the connector (docs/types.md)."""

_ALPHABETS = (
    (0x20, 0x7F),
    (0x0, 0x20),
    (0xA0, 0x250),
    (0x370, 0x600),
    (0xE00, 0xE60),
    (0x10D0, 0x1100),
    (0x3040, 0x3100),
    (0x4E00, 0x9FB0),
    (0xAC00, 0xD7A4),
    (0xFF00, 0xFFF0),
    (0x1F600, 0x1F650),
    (0x20000, 0x20200),
)
_EDGE_TEXTS = ("", " ", "a ", "a\0", "\0", "é", "😀", "\\", "'\"`", "\n\r\t", "ü" * 20, "\ufeff", "\u2028", "?", "~")


def text_literal(text: str) -> str:
    return f"CONVERT(x'{text.encode().hex()}' USING utf8mb4)" if text else "''"


def _text(charset: str, most: int = 20) -> Literals:
    refused = UNREADABLE.get(charset, set())

    def draw(rng: Random) -> str:
        low, high = rng.choice(_ALPHABETS)
        text = "".join(chr(rng.randrange(low, high)) for _ in range(rng.randint(0, most)))
        return text_literal("".join(character for character in text if character not in refused))

    return draw


AS_UTF8 = "HEX(CONVERT({c} USING utf8mb4))"


def from_utf8_hex(text: str) -> str:
    return bytes.fromhex(text).decode()


def text_kind(definition: str, charset: str, column: Column, **more: Any) -> Kind:
    name = f"{definition.lower()} {charset}"
    column = replace(column, charset=charset, collation=f"{charset}_bin")
    full = f"{definition} CHARACTER SET {charset} COLLATE {charset}_bin"
    if "compressed" in name:
        full = f"{definition.removesuffix(' COMPRESSED')} COMPRESSED CHARACTER SET {charset} COLLATE {charset}_bin"
    edges = [text_literal(text) for text in _EDGE_TEXTS]
    return Kind(name, full, edges, _text(charset), column, select=AS_UTF8, render=from_utf8_hex, **more)


def texts(flavor: str) -> list[Kind]:
    charsets = [*CHARSETS, *(["gb18030"] if flavor == "mysql" else [])]
    found = [text_kind("VARCHAR(40)", charset, of_type("varchar", length=40)) for charset in charsets]
    found += [
        text_kind("CHAR(20)", charset, of_type("char", length=20)) for charset in ("latin1", "gbk", "utf16", "sjis")
    ]
    found += [text_kind("CHAR(255)", "utf8mb4", of_type("char", length=255))]
    found += [
        text_kind(f"VARCHAR({length})", "utf8mb4", of_type("varchar", length=length)) for length in (63, 64, 1000)
    ]
    for name in ("tinytext", "text", "mediumtext", "longtext"):
        found.append(text_kind(name.upper(), "utf8mb4", of_type(name)))
    found.append(text_kind("LONGTEXT", "utf32", of_type("longtext")))
    return found


# ---- bytes and choices


def _bytes_literal(rng: Random) -> str:
    raw = rng.randbytes(rng.randint(0, 20)) + bytes(rng.choice((0, 0, 3)))
    return f"x'{raw.hex()}'"


def _from_hex(text: str) -> str:
    return base64(bytes.fromhex(text))


def bytes_kind(definition: str, column: Column, **more: Any) -> Kind:
    edges = [
        "''",
        "x'00'",
        "x'610000'",
        "x'0061'",
        "x'ff'",
        "' '",
        f"x'{bytes(16).hex()}'",
        f"x'{bytes(range(40)).hex()}'",
    ]
    return Kind(definition.lower(), definition, edges, _bytes_literal, column, "HEX({c})", _from_hex, **more)


def bytes_() -> list[Kind]:
    found = [bytes_kind(f"BINARY({length})", of_type("binary", length=length)) for length in (1, 16, 255)]
    found += [bytes_kind(f"VARBINARY({length})", of_type("varbinary", length=length)) for length in (255, 256)]
    return found + [bytes_kind(name.upper(), of_type(name)) for name in ("tinyblob", "blob", "mediumblob", "longblob")]


def _quoted(member: str) -> str:
    return "'" + member.replace("'", "''") + "'"


def _choice(name: str, members: Sequence[str], charset: str) -> Kind:
    listed = ", ".join(map(_quoted, members))
    column = of_type(name, charset=charset, collation=f"{charset}_bin", members=tuple(members))
    definition = f"{name.upper()}({listed}) CHARACTER SET {charset} COLLATE {charset}_bin"

    def one(rng: Random) -> str:
        return _quoted(rng.choice(members))

    def some(rng: Random) -> str:
        return _quoted(",".join(rng.sample(members, rng.randint(0, min(len(members), 12)))))

    edges = [_quoted(members[0]), _quoted(members[-1]), "''", "'not a member'"]
    draw = one if name == "enum" else some
    if name == "set":
        edges.append(_quoted(",".join(reversed(members))))
    return Kind(f"{name} of {len(members)} {charset}", definition, edges, draw, column, AS_UTF8, from_utf8_hex)


def choices() -> list[Kind]:
    return [
        _choice("enum", ["a", "é, y", "'x'", "ü"], "latin1"),
        _choice("enum", ["", "中", "b"], "utf8mb4"),
        _choice("enum", [f"é{number}" for number in range(300)], "ucs2"),
        _choice("set", ["p"], "utf8mb4"),
        _choice("set", [f"ö{number}" for number in range(9)], "latin2"),
        _choice("set", [f"ü{number}" for number in range(64)], "utf8mb4"),
    ]
