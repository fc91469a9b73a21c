"""Every type that a column can have at a source, as data: its SQL definition, values at its edges and random ones as SQL
literals, how SELECT is asked so that nothing is lost on the way, and what a change event must hold then.

`kinds(flavor)` lists them for `mysql` or `mariadb`. A test makes columns of them in any combination:

    kind.definition                  INT UNSIGNED
    kind.edges, kind.random(rng)     SQL literals for INSERT and UPDATE, with the sql_mode of `SQL_MODE`
    kind.select.format(c="`c1`")     an expression whose text …
    kind.render(text)                … becomes the value of the change event
    kind.column_named("c1")          the column as the decoder describes it, and as the schema history must know it
"""

import struct
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from cdc.model.change import Value
from cdc.model.schema import Column

SQL_MODE = "ALLOW_INVALID_DATES"
"""Not strict: what a column cannot hold is cut or replaced by the server, and the values are compared as they then are."""

Literals = Callable[[Random], str]


@dataclass(frozen=True)
class Kind:
    """`server`: the only one that has the type; "" = both. `told_by_history`: the binlog alone does not tell the type."""

    name: str
    definition: str
    edges: Sequence[str]
    random: Literals
    column: Column
    select: str = "{c}"
    render: Callable[[str], Value] = str
    server: str = ""
    told_by_history: bool = False

    def column_named(self, name: str) -> Column:
        return replace(self.column, name=name)


def kinds(flavor: str) -> list[Kind]:
    """All of `mysql` or `mariadb`."""
    found = [*_numbers(), *_dates(), *_texts(flavor), *_bytes(), *_choices(), *_geometries(flavor), *_of_one_server()]
    return [kind for kind in found if kind.server in ("", flavor)]


def base64(raw: bytes) -> str:
    return b64encode(raw).decode("ascii")


def _column(name: str, **more: Any) -> Column:
    return Column("", name, **more)


def _one_of(*choices: Literals) -> Literals:
    return lambda rng: rng.choice(choices)(rng)


# ---- numbers

_INTEGERS = {"TINYINT": 8, "SMALLINT": 16, "MEDIUMINT": 24, "INT": 32, "BIGINT": 64}


def _integer(low: int, high: int) -> Literals:
    return lambda rng: str(
        rng.randint(low, high) if rng.random() < 0.7 else rng.choice((low, high, 0, rng.randint(0, 9)))
    )


def _decimal_text(unscaled: int, scale: int) -> str:
    digits = f"{abs(unscaled):0{scale + 1}d}"
    point = len(digits) - scale
    return ("-" if unscaled < 0 else "") + digits[:point] + (f".{digits[point:]}" if scale else "")


def _decimal(precision: int, scale: int) -> Kind:
    top = 10**precision - 1
    edges = [0, 1, -1, top, -top, 10**scale % (top + 1), 10 ** (precision // 2)]

    def draw(rng: Random) -> str:
        return _decimal_text(rng.randint(-top, top) // 10 ** rng.randrange(precision), scale)

    return Kind(
        f"decimal({precision},{scale})",
        f"DECIMAL({precision},{scale})",
        [_decimal_text(edge, scale) for edge in edges],
        draw,
        _column("decimal", precision=precision, scale=scale),
        select="CAST({c} AS CHAR)",
    )


def _float_text(code: str, size: int) -> Literals:
    def draw(rng: Random) -> str:
        while True:
            (number,) = struct.unpack(code, rng.randbytes(size))
            if number == number and abs(number) != float("inf"):  # noqa: PLR0124 - NaN is the one that differs from itself
                return repr(number)

    return draw


def shortest_float32(text: str) -> float:
    """The fewest digits, from 6 up, that still name the 32 bits of the number in `text`."""
    raw = struct.pack("<f", float(text))
    tries = (float(f"{float(text):.{digits}g}") for digits in range(6, 10))
    return next(shorter for shorter in tries if struct.pack("<f", shorter) == raw)


def _numbers() -> list[Kind]:
    found = []
    for name, bits in _INTEGERS.items():
        for unsigned in (False, True):
            low, high = (0, 2**bits - 1) if unsigned else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
            sign = " UNSIGNED" if unsigned else ""
            edges = [str(edge) for edge in (low, high, 0, 1, high // 2, high // 2 + 1)]
            column = _column(name.lower(), unsigned=unsigned)
            found.append(Kind(name.lower() + sign, name + sign, edges, _integer(low, high), column, render=int))
    found += [
        _decimal(*size) for size in ((1, 0), (1, 1), (5, 2), (9, 9), (10, 0), (18, 9), (38, 20), (65, 0), (65, 30))
    ]
    found.append(
        Kind(
            "float",
            "FLOAT",
            [
                "0",
                "-0.0",
                "1",
                "0.1",
                "3.4028234e38",
                "-3.4028234e38",
                "1.1754944e-38",
                "1e-45",
                "123456.789",
                "16777216",
            ],
            _float_text("<f", 4),
            _column("float"),
            select="CAST({c} AS DOUBLE)",
            render=shortest_float32,
        )
    )
    found.append(
        Kind(
            "double",
            "DOUBLE",
            ["0", "-0.0e0", "0.1", "1e300", "1.7976931348623157e308", "5e-324", "9007199254740993"],
            _float_text("<d", 8),
            _column("double"),
            render=float,
        )
    )
    for bits in (1, 7, 8, 9, 17, 33, 63, 64):
        edges = [str(edge) for edge in (0, 1, 2**bits - 1, 2 ** (bits - 1))]
        column = _column("bit", length=bits)
        draw = _integer(0, 2**bits - 1)
        found.append(Kind(f"bit({bits})", f"BIT({bits})", edges, draw, column, select="{c} + 0", render=int))
    years: Literals = lambda rng: str(rng.randint(1901, 2155))  # noqa: E731
    found.append(Kind("year", "YEAR", ["0", "'0000'", "1901", "2155"], years, _column("year"), "{c} + 0", int))
    return found


# ---- dates and times

_DAYS = ("0000-00-00", "2024-00-00", "2024-05-00", "0000-01-01", "2023-02-31", "2024-02-29", "1000-01-01", "9999-12-31")


def _micros(rng: Random) -> str:
    return f"{rng.choice((0, 1, 999_999, 500_000, rng.randrange(1_000_000))):06d}"


def _date(rng: Random) -> str:
    return f"'{rng.randint(1, 9999):04d}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}'"


def _datetime(rng: Random) -> str:
    return (
        f"{_date(rng)[:-1]} {rng.randint(0, 23):02d}:{rng.randint(0, 59):02d}:{rng.randint(0, 59):02d}.{_micros(rng)}'"
    )


def _timestamp(rng: Random) -> str:
    day = f"{rng.randint(1970, 2037):04d}-{rng.randint(1, 12):02d}-{rng.randint(2, 28):02d}"
    return f"'{day} {rng.randint(0, 23):02d}:{rng.randint(0, 59):02d}:{rng.randint(0, 59):02d}.{_micros(rng)}'"


def _time(rng: Random) -> str:
    clock = f"{rng.randint(0, 838):02d}:{rng.randint(0, 59):02d}:{rng.randint(0, 59):02d}.{_micros(rng)}"
    return f"'{rng.choice(('', '-'))}{clock}'"


def _dates() -> list[Kind]:
    days = [f"'{day}'" for day in _DAYS]
    moments = [f"'{day} 23:59:59.999999'" for day in _DAYS[:7]] + ["'2024-02-29 00:00:00.000001'"]
    stamps = ["0000-00-00", "1970-01-01 00:00:01", "1970-01-01 00:00:01.000001", "2038-01-19 03:14:07"]
    spans = ["00:00:00", "-00:00:00.1", "-00:00:00.000001", "-00:00:01", "838:59:59", "-838:59:59", "-838:59:58.999999"]
    as_text = "CAST({c} AS CHAR)"
    found = [Kind("date", "DATE", days, _date, _column("date"), select=as_text)]
    for scale in range(7):
        found += [
            Kind(
                f"datetime({scale})",
                f"DATETIME({scale})",
                days + moments,
                _datetime,
                _column("datetime", scale=scale),
                select=as_text,
                render=lambda text: text.replace(" ", "T"),
            ),
            Kind(
                f"timestamp({scale})",
                f"TIMESTAMP({scale}) NULL",
                [f"'{stamp}'" for stamp in stamps],
                _timestamp,
                _column("timestamp", scale=scale),
                select=as_text,
                render=lambda text: text.replace(" ", "T") + "Z",
            ),
            Kind(
                f"time({scale})",
                f"TIME({scale})",
                [f"'{span}'" for span in spans],
                _time,
                _column("time", scale=scale),
                select=as_text,
            ),
        ]
    return found


# ---- text

CHARSETS = (
    *("armscii8", "ascii", "big5", "cp1250", "cp1251", "cp1256", "cp1257", "cp850", "cp852", "cp866", "cp932", "dec8"),
    *("eucjpms", "euckr", "gb2312", "gbk", "geostd8", "greek", "hebrew", "hp8", "keybcs2", "koi8r", "koi8u", "latin1"),
    *("latin2", "latin5", "latin7", "macce", "macroman", "sjis", "swe7", "tis620", "ucs2", "ujis", "utf16", "utf16le"),
    *("utf32", "utf8mb3", "utf8mb4"),
)
"""Of both servers; MySQL has gb18030 too."""

UNREADABLE = {
    "big5": set("碁銹裏墻恒粧嫺\ufffd"),
    "tis620": {"\ufffd"},
    "ujis": set(map(chr, range(0xE000, 0xE758))),
}
"""Characters that the server has a code for and Python has not: a row with one stops the connector (docs/types.md)."""

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


def _text_literal(text: str) -> str:
    return f"CONVERT(x'{text.encode().hex()}' USING utf8mb4)" if text else "''"


def _text(charset: str, most: int = 20) -> Literals:
    refused = UNREADABLE.get(charset, set())

    def draw(rng: Random) -> str:
        low, high = rng.choice(_ALPHABETS)
        text = "".join(chr(rng.randrange(low, high)) for _ in range(rng.randint(0, most)))
        return _text_literal("".join(character for character in text if character not in refused))

    return draw


_AS_UTF8 = "HEX(CONVERT({c} USING utf8mb4))"


def _from_utf8_hex(text: str) -> str:
    return bytes.fromhex(text).decode()


def _text_kind(definition: str, charset: str, column: Column, **more: Any) -> Kind:
    name = f"{definition.lower()} {charset}"
    column = replace(column, charset=charset, collation=f"{charset}_bin")
    full = f"{definition} CHARACTER SET {charset} COLLATE {charset}_bin"
    if "compressed" in name:
        full = f"{definition.removesuffix(' COMPRESSED')} COMPRESSED CHARACTER SET {charset} COLLATE {charset}_bin"
    edges = [_text_literal(text) for text in _EDGE_TEXTS]
    return Kind(name, full, edges, _text(charset), column, select=_AS_UTF8, render=_from_utf8_hex, **more)


def _texts(flavor: str) -> list[Kind]:
    charsets = [*CHARSETS, *(["gb18030"] if flavor == "mysql" else [])]
    found = [_text_kind("VARCHAR(40)", charset, _column("varchar", length=40)) for charset in charsets]
    found += [
        _text_kind("CHAR(20)", charset, _column("char", length=20)) for charset in ("latin1", "gbk", "utf16", "sjis")
    ]
    found += [_text_kind("CHAR(255)", "utf8mb4", _column("char", length=255))]
    found += [
        _text_kind(f"VARCHAR({length})", "utf8mb4", _column("varchar", length=length)) for length in (63, 64, 1000)
    ]
    for name in ("tinytext", "text", "mediumtext", "longtext"):
        found.append(_text_kind(name.upper(), "utf8mb4", _column(name)))
    found.append(_text_kind("LONGTEXT", "utf32", _column("longtext")))
    return found


# ---- bytes and choices


def _bytes_literal(rng: Random) -> str:
    raw = rng.randbytes(rng.randint(0, 20)) + bytes(rng.choice((0, 0, 3)))
    return f"x'{raw.hex()}'"


def _from_hex(text: str) -> str:
    return base64(bytes.fromhex(text))


def _bytes_kind(definition: str, column: Column, **more: Any) -> Kind:
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


def _bytes() -> list[Kind]:
    found = [_bytes_kind(f"BINARY({length})", _column("binary", length=length)) for length in (1, 16, 255)]
    found += [_bytes_kind(f"VARBINARY({length})", _column("varbinary", length=length)) for length in (255, 256)]
    return found + [_bytes_kind(name.upper(), _column(name)) for name in ("tinyblob", "blob", "mediumblob", "longblob")]


def _quoted(member: str) -> str:
    return "'" + member.replace("'", "''") + "'"


def _choice(name: str, members: Sequence[str], charset: str) -> Kind:
    listed = ", ".join(map(_quoted, members))
    column = _column(name, charset=charset, collation=f"{charset}_bin", members=tuple(members))
    definition = f"{name.upper()}({listed}) CHARACTER SET {charset} COLLATE {charset}_bin"

    def one(rng: Random) -> str:
        return _quoted(rng.choice(members))

    def some(rng: Random) -> str:
        return _quoted(",".join(rng.sample(members, rng.randint(0, min(len(members), 12)))))

    edges = [_quoted(members[0]), _quoted(members[-1]), "''", "'not a member'"]
    draw = one if name == "enum" else some
    if name == "set":
        edges.append(_quoted(",".join(reversed(members))))
    return Kind(f"{name} of {len(members)} {charset}", definition, edges, draw, column, _AS_UTF8, _from_utf8_hex)


def _choices() -> list[Kind]:
    return [
        _choice("enum", ["a", "é, y", "'x'", "ü"], "latin1"),
        _choice("enum", ["", "中", "b"], "utf8mb4"),
        _choice("enum", [f"é{number}" for number in range(300)], "ucs2"),
        _choice("set", ["p"], "utf8mb4"),
        _choice("set", [f"ö{number}" for number in range(9)], "latin2"),
        _choice("set", [f"ü{number}" for number in range(64)], "utf8mb4"),
    ]


# ---- geometry


def _coordinate(rng: Random) -> str:
    return f"{rng.uniform(-80, 80):.{rng.randint(0, 12)}f} {rng.uniform(-80, 80):.{rng.randint(0, 3)}f}"


def _line(rng: Random, least: int = 2) -> str:
    return "(" + ", ".join(_coordinate(rng) for _ in range(rng.randint(least, least + 3))) + ")"


def _ring(rng: Random) -> str:
    x, y, size = rng.uniform(-50, 50), rng.uniform(-50, 50), rng.uniform(0.5, 20)
    corners = ((x, y), (x + size, y), (x + size, y + size), (x, y + size), (x, y))
    return "((" + ", ".join(f"{a} {b}" for a, b in corners) + "))"


def _several(part: Callable[[Random], str]) -> Callable[[Random], str]:
    return lambda rng: "(" + ", ".join(part(rng) for _ in range(rng.randint(1, 3))) + ")"


_SHAPES: dict[str, Callable[[Random], str]] = {
    "point": lambda rng: f"({_coordinate(rng)})",
    "linestring": _line,
    "polygon": _ring,
    "multipoint": _several(_coordinate),
    "multilinestring": _several(_line),
    "multipolygon": _several(_ring),
    "geometrycollection": _several(lambda rng: f"POINT({_coordinate(rng)})"),
}


def _geometry_of(text: str) -> Value:
    raw = bytes.fromhex(text)
    return {"srid": int.from_bytes(raw[:4], "little"), "wkb": base64(raw[4:])}


def _geometry_literal(kind: str, srids: Sequence[int]) -> Literals:
    def draw(rng: Random) -> str:
        shape = rng.choice(list(_SHAPES)) if kind == "geometry" else kind
        return f"ST_GeomFromText('{shape.upper()}{_SHAPES[shape](rng)}', {rng.choice(srids)})"

    return draw


def _geometries(flavor: str) -> list[Kind]:
    found = []
    for kind in ("geometry", *_SHAPES):
        draw = _geometry_literal(kind, (0, 4326, 3857) if flavor == "mysql" else (0, 4326, 1))
        edges = [draw(Random(number)) for number in range(6)]
        found.append(Kind(kind, kind.upper(), edges, draw, _column(kind), "HEX({c})", _geometry_of))
    return found


# ---- what only one server has


def _vector_literal(dimensions: int) -> Literals:
    draw = _float_text("<f", 4)

    def number(rng: Random) -> str:
        text = draw(rng)
        return text if abs(float(text)) >= 2**-126 else "0"  # the server takes no denormal numbers from text

    return lambda rng: f"STRING_TO_VECTOR('[{','.join(number(rng) for _ in range(rng.randint(1, dimensions)))}]')"


def _vector_of(text: str) -> Value:
    raw = bytes.fromhex(text)
    return [shortest_float32(repr(number)) for (number,) in struct.iter_unpack("<f", raw)]


def _uuid(rng: Random) -> str:
    digits = rng.randbytes(16).hex()
    digits = digits[:12] + rng.choice("0134567f") + digits[13:]
    return f"'{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}'"


def _inet4(rng: Random) -> str:
    return "'" + ".".join(str(rng.choice((0, 1, 255, rng.randrange(256)))) for _ in range(4)) + "'"


def _inet6(rng: Random) -> str:
    words = [rng.choice((0, 0, 0, 1, 0xFFFF, rng.randrange(65536))) for _ in range(8)]
    return "'" + ":".join(f"{word:x}" for word in words) + "'"


_SCALARS = (
    *(
        "null",
        "true",
        "false",
        "0",
        "-1",
        "70000",
        "18446744073709551615",
        "-9223372036854775808",
        "1.5",
        "1e300",
        "1e-7",
    ),
    *('""', '"é😀"', '"\\n\\"\\\\"', f'"{"x" * 70}"', f'"{"y" * 200}"'),
)


def _json_document(rng: Random, depth: int = 0) -> str:
    if depth > 3 or rng.random() < 0.4:
        return rng.choice((*_SCALARS, repr(rng.uniform(-1e9, 1e9)), str(rng.randrange(2**32))))
    parts = [_json_document(rng, depth + 1) for _ in range(rng.randint(0, 4))]
    if rng.random() < 0.5:
        return f"[{', '.join(parts)}]"
    return "{" + ", ".join(f'"{rng.choice("abcdefgh") * rng.randint(0, 3)}é": {part}' for part in parts) + "}"


def _json_literal(rng: Random) -> str:
    return _text_literal(_json_document(rng))


_SQL_IN_JSON = (
    *("1.10", "CAST('2024-01-02' AS DATE)", "TIMESTAMP'2024-01-02 03:04:05.000678'", "CAST('-10:11:12.5' AS TIME(6))"),
    *(
        "x'00ff'",
        "REPEAT(x'ab', 300)",
        "1e15",
        "1000000000000000.5e0",
        "1e-15",
        "123456789012345678e0",
        "b'101'",
        "18446744073709551615",
        "TRUE",
        "NULL",
    ),
)


def _of_one_server() -> list[Kind]:
    mysql = {"server": "mysql"}
    mariadb: dict[str, Any] = {"server": "mariadb"}
    history: dict[str, Any] = {"server": "mariadb", "told_by_history": True}
    zero, ones = "'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'"
    uuids = [zero, ones, "'123e4567-e89b-12d3-a456-426655440000'", "'01890a5d-ac96-774b-bcce-b302099a8057'"]
    inet6 = ("::", "::1", "1::", "::1.2.3.4", "::ffff:1.2.3.4", "1:0:0:2:0:0:0:3", "1:0:2:3:4:5:6:7", "0:1:0:1:0:1:0:1")
    inet6 += ("::ffff:0:0", "::fffe:1:1", "1:2:3:4:5:6:7:0", "0:0:1::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")
    documents = [_json_literal(Random(number)) for number in range(8)]
    in_json = [f"JSON_OBJECT('k', {each}, 'a', JSON_ARRAY({each}))" for each in _SQL_IN_JSON]
    json_text = _column("longtext", charset="utf8mb4", collation="utf8mb4_bin")
    compressed = [
        _text_kind("VARCHAR(300) COMPRESSED", "utf8mb4", _column("varchar", length=300), **mariadb),
        _text_kind("VARCHAR(60) COMPRESSED", "latin1", _column("varchar", length=60), **mariadb),
        _text_kind("TEXT COMPRESSED", "utf16", _column("text"), **mariadb),
        _text_kind("LONGTEXT COMPRESSED", "utf8mb4", _column("longtext"), **mariadb),
        _bytes_kind("VARBINARY(300) COMPRESSED", _column("varbinary", length=300), **mariadb),
        _bytes_kind("TINYBLOB COMPRESSED", _column("tinyblob"), **mariadb),
        _bytes_kind("MEDIUMBLOB COMPRESSED", _column("mediumblob"), **mariadb),
    ]
    long_runs = ["REPEAT('a', 60)", "REPEAT('b', 250)", "REPEAT('c', 300)"]
    return [
        Kind(
            "json",
            "JSON",
            documents + in_json,
            _json_literal,
            _column("json"),
            "HEX(CAST({c} AS CHAR CHARACTER SET utf8mb4))",
            _from_utf8_hex,
            **mysql,
        ),
        Kind("json text", "JSON", documents, _json_literal, json_text, _AS_UTF8, _from_utf8_hex, **mariadb),
        Kind(
            "vector(5)",
            "VECTOR(5)",
            ["STRING_TO_VECTOR('[0]')", "STRING_TO_VECTOR('[1,0.1,-0.0,3.4028234e38,1.1754944e-38]')"],
            _vector_literal(5),
            _column("vector", length=5),
            "HEX({c})",
            _vector_of,
            **mysql,
        ),
        Kind("uuid", "UUID", uuids, _uuid, _column("uuid"), "CAST({c} AS CHAR)", **history),
        Kind(
            "inet6", "INET6", [f"'{each}'" for each in inet6], _inet6, _column("inet6"), "CAST({c} AS CHAR)", **history
        ),
        Kind(
            "inet4",
            "INET4",
            ["'0.0.0.0'", "'255.255.255.255'"],
            _inet4,
            _column("inet4"),
            "CAST({c} AS CHAR)",
            **history,
        ),
        *(replace(kind, edges=[*kind.edges, *long_runs]) for kind in compressed),
    ]
