"""What a user of MySQL or MariaDB may do, from SHOW GRANTS: for the source and for the target.

Format: "SHOW GRANTS Statement" in both manuals: `GRANT right, right ON db.table TO user …`; roles are granted in lines
without ON, and MySQL shows their rights to who asks USING them.
"""

import re
from dataclasses import dataclass

from cdc.model.routing import matches

_LINE = re.compile(
    r"GRANT (?P<rights>.+?) ON (?:TABLE )?(?P<db>\*|`(?:[^`]|``)*`)\.(?P<table>\*|`(?:[^`]|``)*`) TO ", re.DOTALL
)
_RIGHT = re.compile(r"[A-Z_ ]+")


@dataclass(frozen=True, slots=True)
class Grants:
    """(rights, db, table) of each line; `*` stands for all."""

    lines: tuple[tuple[frozenset[str], str, str], ...]

    def everywhere(self, right: str) -> bool:
        return any(_has(rights, right) and db == "*" and table == "*" for rights, db, table in self.lines)

    def on_table(self, right: str, db: str, table: str) -> bool:
        """Whether the right reaches all that the patterns `db` and `table` may name."""
        return any(
            _has(rights, right) and (on_db == "*" or _covers(on_db, db)) and on_table in ("*", table)
            for rights, on_db, on_table in self.lines
        )


def parse_grants(texts: list[str]) -> Grants:
    found = [match for text in texts if (match := _LINE.match(text))]
    return Grants(tuple((_rights(match["rights"]), _name(match["db"]), _name(match["table"])) for match in found))


def _rights(text: str) -> frozenset[str]:
    """Rights on columns (`SELECT (a, b)`) do not count: they are not rights on the table."""
    whole = re.sub(r"[A-Z ]+\([^)]*\)", "", text)
    return frozenset(right for part in whole.split(",") if _RIGHT.fullmatch(right := part.strip()))


def _has(rights: frozenset[str], right: str) -> bool:
    return right in rights or "ALL PRIVILEGES" in rights or "ALL" in rights


def _name(text: str) -> str:
    return text if text == "*" else text[1:-1].replace("``", "`")


def _covers(granted: str, pattern: str) -> bool:
    """A database in a grant is a LIKE pattern: % any run, _ one character, backslash quotes."""
    plain = re.sub(r"\\([%_])", r"\1", granted)
    if plain == pattern:
        return True
    wild = re.sub(r"(?<!\\)%", "*", granted)
    wild = re.sub(r"(?<!\\)_", "?", wild)
    return matches((re.sub(r"\\([%_])", r"\1", wild),), pattern)
