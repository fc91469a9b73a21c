"""Geometry, and what only one server has, for `tests.support.type_space`."""

import struct
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from typing import Any

from cdc.model.change import Value
from tests.support.type_kind import Kind, Literals, base64, of_type
from tests.support.type_numbers import float_text, shortest_float32
from tests.support.type_texts import AS_UTF8, bytes_kind, from_utf8_hex, text_kind, text_literal


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


def geometries(flavor: str) -> list[Kind]:
    found = []
    for kind in ("geometry", *_SHAPES):
        draw = _geometry_literal(kind, (0, 4326, 3857) if flavor == "mysql" else (0, 4326, 1))
        edges = [draw(Random(number)) for number in range(6)]
        found.append(Kind(kind, kind.upper(), edges, draw, of_type(kind), "HEX({c})", _geometry_of))
    return found


# ---- what only one server has


def _vector_literal(dimensions: int) -> Literals:
    draw = float_text("<f", 4)

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
    return text_literal(_json_document(rng))


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


def of_one_server() -> list[Kind]:
    mysql = {"server": "mysql"}
    mariadb: dict[str, Any] = {"server": "mariadb"}
    history: dict[str, Any] = {"server": "mariadb", "told_by_history": True}
    zero, ones = "'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'"
    uuids = [zero, ones, "'123e4567-e89b-12d3-a456-426655440000'", "'01890a5d-ac96-774b-bcce-b302099a8057'"]
    inet6 = ("::", "::1", "1::", "::1.2.3.4", "::ffff:1.2.3.4", "1:0:0:2:0:0:0:3", "1:0:2:3:4:5:6:7", "0:1:0:1:0:1:0:1")
    inet6 += ("::ffff:0:0", "::fffe:1:1", "1:2:3:4:5:6:7:0", "0:0:1::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")
    documents = [_json_literal(Random(number)) for number in range(8)]
    in_json = [f"JSON_OBJECT('k', {each}, 'a', JSON_ARRAY({each}))" for each in _SQL_IN_JSON]
    json_text = of_type("longtext", charset="utf8mb4", collation="utf8mb4_bin")
    compressed = [
        text_kind("VARCHAR(300) COMPRESSED", "utf8mb4", of_type("varchar", length=300), **mariadb),
        text_kind("VARCHAR(60) COMPRESSED", "latin1", of_type("varchar", length=60), **mariadb),
        text_kind("TEXT COMPRESSED", "utf16", of_type("text"), **mariadb),
        text_kind("LONGTEXT COMPRESSED", "utf8mb4", of_type("longtext"), **mariadb),
        bytes_kind("VARBINARY(300) COMPRESSED", of_type("varbinary", length=300), **mariadb),
        bytes_kind("TINYBLOB COMPRESSED", of_type("tinyblob"), **mariadb),
        bytes_kind("MEDIUMBLOB COMPRESSED", of_type("mediumblob"), **mariadb),
    ]
    long_runs = ["REPEAT('a', 60)", "REPEAT('b', 250)", "REPEAT('c', 300)"]
    return [
        Kind(
            "json",
            "JSON",
            documents + in_json,
            _json_literal,
            of_type("json"),
            "HEX(CAST({c} AS CHAR CHARACTER SET utf8mb4))",
            from_utf8_hex,
            **mysql,
        ),
        Kind("json text", "JSON", documents, _json_literal, json_text, AS_UTF8, from_utf8_hex, **mariadb),
        Kind(
            "vector(5)",
            "VECTOR(5)",
            ["STRING_TO_VECTOR('[0]')", "STRING_TO_VECTOR('[1,0.1,-0.0,3.4028234e38,1.1754944e-38]')"],
            _vector_literal(5),
            of_type("vector", length=5),
            "HEX({c})",
            _vector_of,
            **mysql,
        ),
        Kind("uuid", "UUID", uuids, _uuid, of_type("uuid"), "CAST({c} AS CHAR)", **history),
        Kind(
            "inet6", "INET6", [f"'{each}'" for each in inet6], _inet6, of_type("inet6"), "CAST({c} AS CHAR)", **history
        ),
        Kind(
            "inet4",
            "INET4",
            ["'0.0.0.0'", "'255.255.255.255'"],
            _inet4,
            of_type("inet4"),
            "CAST({c} AS CHAR)",
            **history,
        ),
        *(replace(kind, edges=[*kind.edges, *long_runs]) for kind in compressed),
    ]
