"""Names and values that have broken such programs, and what their output must look like all the same."""

import re
from collections.abc import Iterable

NAMES = (
    *(
        'a"b',
        "back`tick",
        "x; DROP TABLE canary--",
        "new\nline",
        "n" * 64,
        "ü" * 31 + "b",
        "select",
        "table",
        "Group",
        "MiXed Case",
    ),
    *(
        " leading",
        "%s",
        "%(id)s",
        "%%",
        "{0}",
        "{table}",
        "\\",
        "\\'",
        "it's",
        "'; DROP TABLE canary; --",
        "a.b",
        "a,b",
        "$1",
    ),
    *(
        ":name",
        "?",
        "/*",
        "--",
        "#",
        "tab\there",
        "\x7f",
        "\x1b[31mred",
        "\u202eltr",
        "\u2028",
        "日本",
        "null",
        "*",
        "[x]",
        "${HOME}",
    ),
    *("_cdc", "0", "1e5", '"', '""', "«»", "a=b&c", "cr\rreturn"),
)
"""Of tables and columns; each is one that MySQL and MariaDB take."""

NOT_AT_THE_SERVER = ("trailing ", "", "n" * 65)
"""No source can have these: MySQL manual, 11.2. Of characters beyond U+FFFF MySQL makes question marks; MariaDB refuses them."""

VALUES = (
    *NAMES,
    *(
        "",
        " ",
        "trailing ",
        "'); DROP TABLE canary; --",
        '"); DROP TABLE canary; --',
        "\\'); DROP TABLE canary; --",
        "$$; DROP TABLE canary; $$",
    ),
    *(
        "\\.",
        "\\N",
        "NULL",
        "\x1a",
        "\\x41",
        "\\0",
        "\b\f\v",
        "😀",
        "👩‍👩‍👧",
        "\u0301combining",
        "\ufeff",
        "{}",
        "[1, 2",
        "x" * 200,
        "' OR 1=1 --",
    ),
    *(
        "${CDC_SINK_PASSWORD}",
        "%n%s%x",
        "{0.__class__}",
        "</script>",
        "\r\nInjected: header",
        "2024-01-01T00:00:00Z ERROR   sink  forged",
    ),
)

_LOG_LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (?:INFO|WARNING|ERROR|CRITICAL) ")
# What ends a line for some reader, or steers a terminal; U+202E turns the rest of a line round.
_UNPRINTABLE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def broken_lines(output: str, also: Iterable[str] = ()) -> list[str]:
    """The lines that are neither whole log lines nor begin with one of `also`, and those that could steer a terminal."""
    return [
        line
        for line in output.split("\n")
        if line and (not (_LOG_LINE.match(line) or line.startswith(tuple(also))) or _UNPRINTABLE.search(line))
    ]


def mysql_name(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def quoted(target: str, name: str) -> str:
    return mysql_name(name) if target in {"mysql", "mariadb", "source"} else '"' + name.replace('"', '""') + '"'


def mysql_text(text: str) -> str:
    """A literal of bytes, so that the test itself escapes nothing."""
    return f"CONVERT(x'{text.encode().hex()}' USING utf8mb4)" if text else "''"


def refuses(target: str, name: str) -> bool:
    """What docs/types.md says under "Names"."""
    if target == "postgresql":
        return len(name.encode()) > 63
    return target in {"mysql", "mariadb"} and any(character in name for character in "`\n\r")
