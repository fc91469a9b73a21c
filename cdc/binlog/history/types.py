"""Column types as a definition spells them, to the names that the binlog's metadata uses.

https://dev.mysql.com/doc/refman/8.4/en/data-types.html, "Using Data Types from Other Database Engines";
https://mariadb.com/docs/server/reference/data-types. Read word by word: sqlglot's parser takes REAL for FLOAT and LONG for
BIGINT, and a type that is misread is worse than one that is refused.
"""

from dataclasses import dataclass

from cdc.binlog.history.context import MAXDB, ORACLE, REAL_AS_FLOAT, Context
from cdc.binlog.history.tokens import STRING, Reader

_INTEGERS = {
    **dict.fromkeys(("TINYINT", "INT1", "BOOL", "BOOLEAN"), "tinyint"),
    **dict.fromkeys(("SMALLINT", "INT2"), "smallint"),
    **dict.fromkeys(("MEDIUMINT", "MIDDLEINT", "INT3"), "mediumint"),
    **dict.fromkeys(("INT", "INTEGER", "INT4"), "int"),
    **dict.fromkeys(("BIGINT", "INT8", "SERIAL"), "bigint"),
}
_DECIMALS = frozenset(("DECIMAL", "DEC", "NUMERIC", "FIXED"))
_VARYING = frozenset(("VARYING", "VARCHAR", "VARCHARACTER"))
_LARGE = {
    **{name.upper(): name for name in ("tinytext", "mediumtext", "longtext", "tinyblob", "mediumblob", "longblob")},
}
GEOMETRIES = {
    **{
        name.upper(): name
        for name in ("geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon")
    },
    **dict.fromkeys(("GEOMETRYCOLLECTION", "GEOMCOLLECTION"), "geometrycollection"),
}
_MARIADB = {"UUID": "uuid", "INET4": "inet4", "INET6": "inet6"}
TEXTS = ("tinytext", "text", "mediumtext", "longtext")
BLOBS = ("tinyblob", "blob", "mediumblob", "longblob")
SIZES = (255, 65_535, 16_777_215, 4_294_967_295)


@dataclass(slots=True)
class Type:
    """`length`: as written; of text and blobs, what the size is chosen by. `charset`: where the type implies one."""

    name: str
    length: int | None = None
    precision: int | None = None
    scale: int | None = None
    members: tuple[str, ...] = ()
    charset: str | None = None
    collation: str | None = None
    serial: bool = False


def read_type(reader: Reader, context: Context) -> Type:
    """Raises LookupError for a type that is not known."""
    if context.has(ORACLE | MAXDB):
        raise LookupError("types mean something else in sql_mode ORACLE and MAXDB")
    word = reader.take().upper
    return (
        _number(word, reader, context)
        or _temporal(word, reader)
        or _text(word, reader)
        or _other(word, reader, context)
    )


def _number(word: str, reader: Reader, context: Context) -> Type | None:
    if word in _INTEGERS:
        _optional_length(reader)
        return Type(_INTEGERS[word], serial=word == "SERIAL")
    if word in _DECIMALS:
        precision, scale = _two_numbers(reader)
        return Type("decimal", precision=precision or 10, scale=scale or 0)
    if word in {"FLOAT", "FLOAT4", "DOUBLE", "FLOAT8", "REAL"}:
        return _floating(word, reader, context)
    return Type("bit", length=_optional_length(reader) or 1) if word == "BIT" else None


def _temporal(word: str, reader: Reader) -> Type | None:
    if word in {"TIME", "DATETIME", "TIMESTAMP"}:
        return Type(word.lower(), scale=_optional_length(reader) or 0)
    if word in {"DATE", "YEAR"}:
        _optional_length(reader)
        return Type(word.lower())
    return None


def _other(word: str, reader: Reader, context: Context) -> Type:
    if word in {"ENUM", "SET"}:
        return Type(word.lower(), members=_members(reader))
    if word in GEOMETRIES:
        return Type(GEOMETRIES[word])
    if word == "JSON":
        return _mariadb_json() if context.flavor == "mariadb" else Type("json")
    if word == "VECTOR":
        length = _optional_length(reader)
        return Type("vector", length=2048 if length is None else length)
    if word in _MARIADB and context.flavor == "mariadb":
        return Type(_MARIADB[word])
    raise LookupError(f"type {word} is not known" if word else f"a type expected, {reader.describe()} found")


def _mariadb_json() -> Type:
    return Type("longtext", charset="utf8mb4", collation="utf8mb4_bin")


def _floating(word: str, reader: Reader, context: Context) -> Type:
    if word == "DOUBLE":
        reader.skip("PRECISION")
    precision, digits = _two_numbers(reader)
    single = word in {"FLOAT", "FLOAT4"} or (word == "REAL" and context.has(REAL_AS_FLOAT))
    if single and digits is None and precision is not None and precision > 24:
        single = False
    # The digits behind the point round a default's value; no metadata has them.
    return Type("float" if single else "double", scale=digits)


def _text(word: str, reader: Reader) -> Type | None:
    if word in {"NCHAR", "NVARCHAR", "NATIONAL"}:
        return _national(word, reader)
    if word in {"CHAR", "CHARACTER", "VARCHAR", "VARCHARACTER"}:
        varying = word.startswith("VAR") or reader.skip("VARYING")
        return _sized(reader, "varchar" if varying else "char")
    if word in {"BINARY", "VARBINARY"}:
        return _sized(reader, word.lower())
    if word in {"TEXT", "BLOB"}:
        return Type(word.lower(), length=_optional_length(reader))
    if word == "LONG":
        return _long(reader)
    return Type(_LARGE[word]) if word in _LARGE else None


def _long(reader: Reader) -> Type:
    if reader.skip("VARBINARY"):
        return Type("mediumblob")
    if reader.skip_any("CHAR", "CHARACTER"):
        reader.expect("VARYING")
    else:
        reader.skip_any("VARCHAR", "VARCHARACTER")
    return Type("mediumtext")


def _national(word: str, reader: Reader) -> Type:
    varying = word == "NVARCHAR"
    if word == "NATIONAL":
        varying = reader.take().upper.startswith("VAR")
    varying = bool(reader.skip_any(*_VARYING)) or varying
    made = _sized(reader, "varchar" if varying else "char")
    made.charset = "utf8mb3"
    return made


def _sized(reader: Reader, name: str) -> Type:
    length = _optional_length(reader)
    if length is None and name not in {"char", "binary"}:
        raise LookupError(f"{name} without a length")
    return Type(name, length=1 if length is None else length)


def _optional_length(reader: Reader) -> int | None:
    if reader.peek() != "(":
        return None
    inside = reader.group()
    if inside.ended:
        return None
    number = inside.number()
    inside.end()
    return number


def _two_numbers(reader: Reader) -> tuple[int | None, int | None]:
    if reader.peek() != "(":
        return None, None
    inside = reader.group()
    first = inside.number()
    second = inside.number() if inside.skip(",") else None
    inside.end()
    return first, second


def _members(reader: Reader) -> tuple[str, ...]:
    found = []
    for one in reader.group().clauses():
        word = one.take()
        if word.kind != STRING:
            raise LookupError("a member expected")
        found.append(word.text.rstrip(" "))
        one.end()
    return tuple(found)
