"""Definitions of columns and indexes, as CREATE TABLE and ALTER TABLE have them.

https://dev.mysql.com/doc/refman/8.4/en/create-table.html, https://mariadb.com/docs/server/reference/sql-statements/data-definition/create/create-table.
Every word must be known: what is passed over could be what matters.
"""

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import NamedTuple

from cdc.binlog.history.collations import SHORTHANDS
from cdc.binlog.history.context import Context
from cdc.binlog.history.tokens import NAME, NUMBER, STRING, WORD, Reader, Word
from cdc.binlog.history.types import Type, read_type


class Source(Enum):
    """Where a column's value comes from in a row that does not name it."""

    NOTHING = auto()  # no DEFAULT clause
    CONSTANT = auto()
    NOW = auto()
    EXPRESSION = auto()
    GENERATED = auto()
    NUMBERED = auto()  # AUTO_INCREMENT


class Default(NamedTuple):
    """`literal`: the words of a constant, or of an expression in parentheses; no words: NULL. `digits`: of the fraction of
    CURRENT_TIMESTAMP. `wrapped`: in parentheses, which is an expression to the server even where it is a constant."""

    source: Source = Source.NOTHING
    literal: tuple[Word, ...] = ()
    digits: int = 0
    wrapped: bool = False


@dataclass(slots=True)
class Definition:
    """A column as written. `nullable` None: not said. `on_update`: ON UPDATE CURRENT_TIMESTAMP."""

    name: str
    type: Type
    unsigned: bool = False
    nullable: bool | None = None
    charset: str | None = None
    collation: str | None = None
    binary: bool = False
    default: Default = field(default_factory=Default)
    on_update: bool = False
    primary: bool = False
    unique: bool = False
    virtual: bool = False


def read_definition(name: str, reader: Reader, context: Context) -> Definition:
    """Type and attributes, up to the end or to a word that no column has (FIRST, AFTER)."""
    made = Definition(name, read_type(reader, context))
    if made.type.serial:
        made.unsigned, made.nullable, made.unique = True, False, True
        made.default = Default(Source.NUMBERED)
    while not reader.ended and reader.peek() not in {"FIRST", "AFTER", "PARTITION", ";"}:
        _attribute(made, reader)
    return made


def _attribute(made: Definition, reader: Reader) -> None:
    for some in (_of_type, _of_value, _of_keys, _without_effect):
        if some(made, reader):
            return
    raise LookupError(f"{reader.describe()} in the definition of column {made.name} is not known")


def _of_type(made: Definition, reader: Reader) -> bool:
    if reader.skip_any("UNSIGNED", "ZEROFILL"):
        made.unsigned = True
    elif reader.skip_any("SIGNED"):
        pass
    elif charset := read_charset(reader):
        made.charset = charset
    elif reader.skip("COLLATE"):
        made.collation = reader.take().text
    elif reader.skip("BINARY"):
        made.binary = True
    elif reader.peek() in SHORTHANDS:
        made.charset = SHORTHANDS[reader.take().upper]
    elif reader.skip("NOT", "NULL"):
        made.nullable = False
    elif reader.skip("NULL"):
        made.nullable = True
    else:
        return False
    return True


def read_charset(reader: Reader) -> str:
    """CHARACTER SET x, CHARSET x, CHAR SET x, with or without `=`; "" where that is not what comes next."""
    if reader.skip("CHARACTER", "SET") or reader.skip("CHARSET") or reader.skip("CHAR", "SET"):
        reader.skip("=")
        return reader.take().text
    return ""


def _of_value(made: Definition, reader: Reader) -> bool:
    if reader.skip("DEFAULT"):
        made.default = read_default(reader)
    elif reader.skip("SERIAL", "DEFAULT", "VALUE"):
        made.nullable, made.unique, made.default = False, True, Default(Source.NUMBERED)
    elif reader.skip("AUTO_INCREMENT"):
        made.default = Default(Source.NUMBERED)
    elif reader.skip("ON", "UPDATE"):
        read_default(reader)
        made.on_update = True
    elif reader.skip("GENERATED", "ALWAYS", "AS") or reader.skip("AS"):
        made.default, made.virtual = Default(Source.GENERATED), True
        if reader.skip("ROW"):
            # Of a system versioned table: stored.
            made.nullable, made.virtual = False, False
            reader.skip_any("START", "END")
        else:
            reader.group()
    elif reader.skip_any("STORED", "PERSISTENT"):
        made.virtual = False
    else:
        return reader.skip("VIRTUAL")
    return True


def _of_keys(made: Definition, reader: Reader) -> bool:
    if reader.skip("PRIMARY"):
        reader.skip("KEY")
        made.primary = True
    elif reader.skip("UNIQUE"):
        reader.skip("KEY")
        made.unique = True
    elif reader.skip("KEY"):
        made.primary = True
    elif reader.skip("REFERENCES"):
        skip_references(reader)
    elif reader.skip("CONSTRAINT"):
        if reader.peek() != "CHECK":
            reader.identifier()
    elif reader.skip("CHECK"):
        reader.group()
        skip_enforced(reader)
    else:
        return False
    return True


def _without_effect(made: Definition, reader: Reader) -> bool:
    """What changes neither the shape nor a value. COMPRESSED changes the row's bytes, which their own type code tells."""
    del made
    if reader.skip_any("INVISIBLE", "VISIBLE"):
        return True
    if reader.skip_any("WITH", "WITHOUT"):
        reader.expect("SYSTEM", "VERSIONING")
        return True
    if reader.skip("COMPRESSED"):
        if reader.skip("="):
            reader.take()
        return True
    if reader.skip_any(
        "COMMENT",
        "COLUMN_FORMAT",
        "STORAGE",
        "SRID",
        "REF_SYSTEM_ID",
        "ENGINE_ATTRIBUTE",
        "SECONDARY_ENGINE_ATTRIBUTE",
    ):
        reader.skip("=")
        reader.take()
        return True
    return False


def skip_enforced(reader: Reader) -> None:
    reader.skip("NOT", "ENFORCED") or reader.skip("ENFORCED")


def skip_references(reader: Reader) -> None:
    reader.name("")
    if reader.peek() == "(":
        reader.group()
    while True:
        if reader.skip("MATCH"):
            reader.take()
        elif reader.skip("ON", "DELETE") or reader.skip("ON", "UPDATE"):
            if not (reader.skip("SET", "NULL") or reader.skip("SET", "DEFAULT") or reader.skip("NO", "ACTION")):
                reader.take()
        else:
            return


_NOW = frozenset(("CURRENT_TIMESTAMP", "NOW", "LOCALTIME", "LOCALTIMESTAMP"))


def read_default(reader: Reader) -> Default:
    """What follows DEFAULT. An expression is passed over, but for a constant in parentheses."""
    if reader.peek() == "(":
        inside = reader.group()
        expression = Default(Source.EXPRESSION, inside.rest())
        try:
            found = read_default(inside)
            inside.end()
        except LookupError:
            return expression
        return expression if found.source is Source.EXPRESSION else found._replace(wrapped=True)
    if reader.peek() in _NOW:
        reader.take()
        digits = 0
        if reader.peek() == "(":
            inside = reader.group()
            digits = 0 if inside.ended else inside.number()
        return Default(Source.NOW, digits=digits)
    if reader.skip("NULL"):
        return Default(Source.CONSTANT)
    return _literal(reader)


def _literal(reader: Reader) -> Default:
    found: list[Word] = []
    if reader.peek() in {"+", "-"}:
        found.append(reader.take())
    if reader.skip("."):
        # `.5` is a dot and a number to the tokenizer.
        found.append(Word(NUMBER, f"0.{reader.take().text}", ""))
        return Default(Source.CONSTANT, tuple(found))
    word = reader.take()
    if word.kind == WORD and word.upper in {"DATE", "TIME", "TIMESTAMP"} and reader.kind() == STRING:
        word = reader.take()
    elif word.kind == WORD and word.upper not in {"TRUE", "FALSE"}:
        _pass_function(reader, word)
        return Default(Source.EXPRESSION)
    elif word.kind == NAME:
        raise LookupError("a default expected, a name found")
    found.append(word)
    while reader.kind() == STRING:
        # Strings beside one another are one; behind an introducer stands its string.
        found.append(reader.take())
    return Default(Source.CONSTANT, tuple(found))


def _pass_function(reader: Reader, word: Word) -> None:
    if not word.text[0].isalpha():
        raise LookupError("a default expected")
    if word.upper == "NEXT":
        reader.expect("VALUE", "FOR")
        reader.name("")
    elif reader.skip("."):
        reader.identifier()
    if reader.peek() == "(":
        reader.group()
