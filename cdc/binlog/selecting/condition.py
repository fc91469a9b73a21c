"""The operator's condition (`where`): that it is one expression, and cannot end the statement that it stands in.

Not a parser of SQL: what the text means is the server's to say. Here only what would let it reach beyond its parentheses counts.
"""

from cdc.model.errors import TableRefused

_QUOTES = "'\"`"


def checked(where: str, table: str) -> str:
    """`where` in parentheses; "" where it is empty. Raises TableRefused, naming it."""
    text = where.strip()
    if not text:
        return ""
    why = _objection(text)
    if why:
        raise TableRefused(
            f"the condition for table {table} cannot be used ({text}): {why}",
            hint="write one expression in SQL, as it would stand behind WHERE",
        )
    return f"({text})"


def _objection(text: str) -> str:
    depth = index = 0
    while index < len(text):
        character = text[index]
        if character in _QUOTES:
            index = _behind_quote(text, index)
            if not index:
                return f"a {character} is not closed"
            continue
        pair = text[index : index + 2]
        if character == ";":
            return "it has a ; in it"
        if character == "#" or pair in {"--", "/*"}:
            return f"it has a comment in it ({pair.strip() if character != '#' else '#'})"
        if character == "\0":
            return "it has a NUL character in it"
        depth += (character == "(") - (character == ")")
        if depth < 0:
            return "a ) closes nothing"
        index += 1
    return "a ( is not closed" if depth else ""


def _behind_quote(text: str, start: int) -> int:
    """Where the quoted part that begins at `start` is over; 0: it does not end. A quote within is doubled, or, but for names,
    behind a backslash: the session's sql_mode has neither NO_BACKSLASH_ESCAPES nor ANSI_QUOTES."""
    quote = text[start]
    index = start + 1
    while index < len(text):
        if text[index] == "\\" and quote != "`":
            index += 2
            continue
        if text[index] == quote:
            if text[index + 1 : index + 2] != quote:
                return index + 1
            index += 1
        index += 1
    return 0
