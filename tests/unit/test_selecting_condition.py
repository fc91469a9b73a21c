"""The operator's `where`: one expression, or refused by name."""

import pytest

from cdc.binlog.selecting.condition import checked
from cdc.model.errors import TableRefused


@pytest.mark.parametrize(
    "text",
    [
        "a = 1",
        "a = 1 OR (b < 2 AND c IN (1, 2))",
        "name = 'a;b -- c # d /* e'",
        "name = 'it''s)' AND x = \"(\\\"\"",
        r"name LIKE 'a\')%'",
        "`a;b` = 1",
        "`a``)` = 1",
        r"`a\` = 1",
    ],
)
def test_an_expression_stands_in_parentheses(text: str) -> None:
    assert checked(f" {text} ", "d.t") == f"({text})"


def test_none_is_none() -> None:
    assert checked("  ", "d.t") == ""


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("1; DROP TABLE t", "it has a ; in it"),
        ("1 -- x", r"it has a comment in it \(--\)"),
        ("1 # x", r"it has a comment in it \(#\)"),
        ("1 /* x */", r"it has a comment in it \(/\*\)"),
        ("1) OR (1", r"a \) closes nothing"),
        ("(1", r"a \( is not closed"),
        ("a = 'x", "a ' is not closed"),
        ("a = 'x\\'", "a ' is not closed"),
        ("a = `x", "a ` is not closed"),
        ("a = 'x''", "a ' is not closed"),
        ("a\0", "it has a NUL character in it"),
    ],
)
def test_what_would_reach_beyond_its_parentheses_is_refused_by_name(text: str, why: str) -> None:
    with pytest.raises(TableRefused, match=rf"condition for table d\.t cannot be used .*{why}"):
        checked(text, "d.t")
