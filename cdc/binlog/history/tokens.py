"""A statement as words: sqlglot's tokens, with the comments that servers execute as part of the text."""

import re
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from cdc.binlog.history.context import ANSI_QUOTES, NO_BACKSLASH_ESCAPES, TableName

if TYPE_CHECKING:
    from sqlglot.dialects.mysql import MySQL
    from sqlglot.tokenizer_core import Token

WORD, NAME, STRING, NUMBER, HEX, BIT, NATIONAL, INTRODUCER = (
    "word",
    "name",
    "string",
    "number",
    "hex",
    "bit",
    "national",
    "introducer",
)
_KINDS = {
    "IDENTIFIER": NAME,
    "STRING": STRING,
    "NUMBER": NUMBER,
    "HEX_STRING": HEX,
    "BIT_STRING": BIT,
    "NATIONAL_STRING": NATIONAL,
    "INTRODUCER": INTRODUCER,
}
_COMMENT = re.compile(r"/\*(M?!\d*)?(.*?)\*/|(?:#|--(?=\s))[^\n]*", re.DOTALL)

# No name has such characters (MySQL manual, 11.2): MySQL puts a question mark in place of each, and only its statement's text has
# them still. MariaDB refuses the statement.
_NOT_IN_NAMES = re.compile("[\U00010000-\U0010ffff]")
_HEAD_CHARACTERS = 500


class Word(NamedTuple):
    """`text`: without quotes, escapes resolved. `upper`: of what is not quoted, else ""."""

    kind: str
    text: str
    upper: str


def words(sql: str, sql_mode: int = 0, flavor: str = "mysql") -> list[Word]:
    """Raises ValueError where the text has no tokens, a quote that does not end for one."""
    found: list[Word] = []
    for kind, text in _tokens(executed_text(sql, sql_mode, flavor), sql_mode):
        if kind == WORD:
            # sqlglot makes one token of some pairs: PRIMARY KEY, DOUBLE PRECISION.
            found.extend(Word(WORD, part, part.upper()) for part in text.split())
        else:
            found.append(Word(kind, text, ""))
    return found


def head(sql: str, sql_mode: int = 0, flavor: str = "mysql") -> list[Word] | None:
    """The first words of a long statement, for who wants to know what it is about before reading the rest, which may take a
    tenth of a second. None: it is short, or cannot be cut safely. The word that the cut may have shortened is left out."""
    if len(sql) <= _HEAD_CHARACTERS:
        return None
    cut = sql[:_HEAD_CHARACTERS]
    if cut.rfind("/*") > cut.rfind("*/"):
        return None
    try:
        return words(cut, sql_mode, flavor)[:-1]
    except ValueError:
        # The cut went through something quoted.
        return None


def executed_text(sql: str, sql_mode: int, flavor: str) -> str:
    """Without comments, but for what stands in those that count. Raises ValueError as `words` does.

    The server that wrote the binlog has taken the `!` out of every comment that it did not execute, so all that have one
    count; but MySQL never executes `/*M!`. Comments stand between tokens, and only there they are looked for."""
    if "/*" not in sql:
        return sql
    parts, at = [], 0
    for start, end in [*_spans(sql, sql_mode), (len(sql), len(sql))]:
        parts.append(_COMMENT.sub(lambda comment: _executed(comment, flavor), sql[at:start]))
        parts.append(sql[start:end])
        at = end
    return "".join(parts)


def _executed(comment: re.Match[str], flavor: str) -> str:
    mark = comment[1]
    return f" {comment[2]} " if mark and (mark[0] == "!" or flavor == "mariadb") else " "


def _spans(sql: str, sql_mode: int) -> list[tuple[int, int]]:
    return [(token.start - _AHEAD, token.end + 1 - _AHEAD) for token in _tokenize(sql, sql_mode)]


def _tokens(sql: str, sql_mode: int) -> Iterator[tuple[str, str]]:
    for token in _tokenize(sql, sql_mode):
        kind = _KINDS.get(token.token_type.name, WORD)
        if kind == NAME:
            # sqlglot resolves escapes in "names" too; the server knows only the doubled quote.
            written = sql[token.start - _AHEAD : token.end + 1 - _AHEAD]
            yield kind, written[1:-1].replace(written[0] * 2, written[0])
        else:
            yield kind, token.text


# Behind a first word, so that no word counts as a "command" whose rest is taken as one string.
_FIRST = "SELECT "
_AHEAD = len(_FIRST)


def _tokenize(sql: str, sql_mode: int) -> "list[Token]":
    from sqlglot.errors import TokenError  # noqa: PLC0415 — most streams never need it

    try:
        return dialect(sql_mode).tokenize(_FIRST + sql)[1:]
    except TokenError as error:
        raise ValueError("no tokens") from error


def dialect(sql_mode: int) -> "MySQL":
    """sqlglot's, with the quotes and escapes of the session."""
    return _dialect(bool(sql_mode & ANSI_QUOTES), bool(sql_mode & NO_BACKSLASH_ESCAPES))


@cache
def _dialect(ansi_quotes: bool, no_escapes: bool) -> "MySQL":
    from sqlglot.dialects.mysql import MySQL  # noqa: PLC0415

    if not (ansi_quotes or no_escapes):
        return MySQL()
    quotes: list[str | tuple[str, str]] = ["'"] if ansi_quotes else ["'", '"']

    class Session(MySQL):
        class Tokenizer(MySQL.Tokenizer):
            QUOTES = quotes
            IDENTIFIERS = ["`", '"'] if ansi_quotes else ["`"]
            STRING_ESCAPES = [*map(str, quotes)] if no_escapes else [*map(str, quotes), "\\"]

    return Session()


class Reader:
    """Walks over words. LookupError means that they end, or go on, where they should not."""

    def __init__(self, found: list[Word]) -> None:
        self._words = found
        self.at = 0

    @property
    def ended(self) -> bool:
        return self.at >= len(self._words)

    def peek(self, ahead: int = 0) -> str:
        """The word in upper case; "" of what is quoted or behind the end."""
        at = self.at + ahead
        return self._words[at].upper if at < len(self._words) else ""

    def skip(self, *wanted: str) -> bool:
        """Whether these words come next; then they are passed."""
        if all(self.peek(ahead) == word for ahead, word in enumerate(wanted)):
            self.at += len(wanted)
            return True
        return False

    def skip_any(self, *wanted: str) -> str:
        """The one of these words that comes next, passed; else ""."""
        found = self.peek()
        if found and found in wanted:
            self.at += 1
            return found
        return ""

    def expect(self, *wanted: str) -> None:
        if not self.skip(*wanted):
            raise LookupError(f"{' '.join(wanted)} expected, {self.describe()} found")

    def describe(self) -> str:
        """For messages: no values."""
        if self.ended:
            return "the end"
        word = self._words[self.at]
        return word.text if word.kind == WORD else f"a {word.kind}"

    def take(self) -> Word:
        if self.ended:
            raise LookupError("it ends too early")
        self.at += 1
        return self._words[self.at - 1]

    def back(self) -> None:
        self.at -= 1

    def kind(self) -> str:
        return "" if self.ended else self._words[self.at].kind

    def identifier(self) -> str:
        """A name, quoted or not; where the sql_mode is not known, double quotes may be a name's."""
        word = self.take()
        if (
            not word.text
            or word.kind not in (WORD, NAME, STRING)
            or (word.kind == WORD and not _starts_a_name(word.text))
        ):
            raise LookupError(f"a name expected, {word.text if word.kind == WORD else word.kind} found")
        return _NOT_IN_NAMES.sub("?", word.text)

    def name(self, db: str) -> TableName:
        """`table` or `db.table`."""
        first = self.identifier()
        if self.skip("."):
            return first, self.identifier()
        if self.peek().startswith("."):
            raise LookupError("not a name")
        return db, first

    def number(self) -> int:
        word = self.take()
        if word.kind != NUMBER or not word.text.isdigit():
            raise LookupError("a number expected")
        return int(word.text)

    def group(self) -> "Reader":
        """What stands in the parentheses that come next."""
        self.expect("(")
        start, depth = self.at, 1
        while depth:
            word = self.take()
            depth += (word.upper == "(") - (word.upper == ")")
        return Reader(self._words[start : self.at - 1])

    def clauses(self) -> "list[Reader]":
        """The rest, cut at the commas outside parentheses."""
        found: list[list[Word]] = [[]]
        depth = 0
        for word in self._words[self.at :]:
            depth += (word.upper == "(") - (word.upper == ")")
            if word.upper == "," and depth == 0:
                found.append([])
            else:
                found[-1].append(word)
        self.at = len(self._words)
        return [Reader(one) for one in found]

    def rest(self) -> tuple[Word, ...]:
        """What is left; it is not passed."""
        return tuple(self._words[self.at :])

    def end(self) -> None:
        self.skip(";")
        if not self.ended:
            raise LookupError(f"{self.describe()} is not expected")


def _starts_a_name(text: str) -> bool:
    return text[0].isalnum() or text[0] in "_$" or not text[0].isascii()
