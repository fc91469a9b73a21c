"""ENUM and SET at a MySQL target, whatever characters their members have.

MySQL reads and shows backslashes as escapes (manual, "String Literals"), under a sql_mode without NO_BACKSLASH_ESCAPES, which is
ours. SQLAlchemy knows that when it writes them, since 2.1, and not when it reads them.
"""

import re
from collections.abc import Sequence
from typing import Any

from sqlalchemy.dialects import mysql
from sqlalchemy.ext.compiler import compiles

_MEMBER = re.compile(r"'((?:[^'\\]|''|\\.)*)'", re.DOTALL)
_ESCAPED = re.compile(r"''|\\(.)", re.DOTALL)
_STAND_IN = "%"
_BEYOND = re.compile("[\U00010000-\U0010ffff]")
_NAMES = {"0": "\0", "n": "\n", "r": "\r", "t": "\t", "Z": "\x1a", "b": "\b"}


class Enum(mysql.ENUM):
    """Members as values have them."""

    inherit_cache = True


class Set(mysql.SET):
    """Members as values have them; one may be ''."""

    inherit_cache = True

    def __init__(self, *members: str, **options: Any) -> None:
        # Else '' is refused. It concerns reading by SQLAlchemy alone.
        super().__init__(*members, **{**options, "retrieve_as_bitwise": True})


@compiles(Enum, "mysql", "mariadb")
def _enum(type_: Enum, compiler: Any, **options: Any) -> str:
    stand_in = mysql.ENUM(_STAND_IN, charset=type_.charset, collation=type_.collation)
    return _written(str(compiler.visit_ENUM(stand_in, **options)), type_.enums)


@compiles(Set, "mysql", "mariadb")
def _set(type_: Set, compiler: Any, **options: Any) -> str:
    stand_in = mysql.SET(_STAND_IN, charset=type_.charset, collation=type_.collation)
    return _written(str(compiler.visit_SET(stand_in, **options)), type_.values)


def _written(text: str, members: Sequence[str]) -> str:
    """`text` with the members; percent signs as the compiler writes them, doubled where the driver will look for parameters."""
    percent = text[text.index("'") + 1 : text.rindex("'")]
    listed = ",".join(f"'{_escaped(member).replace(_STAND_IN, percent)}'" for member in members)
    return text.replace(f"'{percent}'", listed, 1)


def members_of(column_type: str) -> list[str]:
    """The members in information_schema's COLUMN_TYPE, `enum('a','b')`."""
    return [_ESCAPED.sub(_plain, one) for one in _MEMBER.findall(column_type)]


def as_shown(text: str) -> str:
    """Members, or a type's text, as far as MySQL shows them: its catalogue is in utf8mb3 (manual, "UTF-8 for Metadata")."""
    return _BEYOND.sub("?", text)


def _plain(found: "re.Match[str]") -> str:
    letter = found[1]
    return "'" if letter is None else _NAMES.get(letter, letter)


def _escaped(member: str) -> str:
    return member.replace("\\", "\\\\").replace("\0", "\\0").replace("'", "''")
