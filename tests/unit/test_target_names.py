"""Names at a target: what the template makes, what each dialect keeps exactly, and quoting."""

import pytest

from cdc.model.errors import TargetRefused
from cdc.target.sql.dialects import MYSQL, POSTGRESQL, SQLITE, SqlDialect
from cdc.target.sql.names import TargetName, doubled, quote, quote_table, shown, target_name


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{table}", TargetName(None, "or.ders")),
        ("{db}_{table}", TargetName(None, "sh.op_or.ders")),
        ("{db}.{table}", TargetName("sh.op", "or.ders")),
        ("raw.{table}", TargetName("raw", "or.ders")),
    ],
)
def test_a_dot_of_the_template_parts_schema_and_table_a_dot_of_a_name_does_not(
    template: str, expected: TargetName
) -> None:
    assert target_name(template, "sh.op", "or.ders") == expected


def test_quoted_names_are_always_quoted_and_percent_signs_stay_single() -> None:
    assert quote(POSTGRESQL, 'a"b%s') == '"a""b%s"'
    assert quote(POSTGRESQL, "plain") == '"plain"'
    assert quote(MYSQL, 'a"b') == '`a"b`'
    assert quote(SQLITE, "it's") == '"it\'s"'
    assert quote_table(POSTGRESQL, TargetName("s", "t")) == '"s"."t"'
    assert doubled('"a%s"') == '"a%%s"'


@pytest.mark.parametrize(
    ("dialect", "name"),
    [
        (POSTGRESQL, "b" * 64),
        (POSTGRESQL, "ü" * 32),
        (MYSQL, "b" * 65),
        (MYSQL, "rocket🚀"),
        (MYSQL, "trailing "),
        (MYSQL, "back`tick"),
        (POSTGRESQL, "nul\0"),
        (SQLITE, "nul\0"),
        (SQLITE, ""),
        (POSTGRESQL, "\udce4"),
    ],
)
def test_a_name_that_the_dialect_cannot_keep_exactly_is_refused_on_one_line(dialect: SqlDialect, name: str) -> None:
    with pytest.raises(TargetRefused) as caught:
        quote(dialect, name)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(("dialect", "name"), [(POSTGRESQL, "b" * 63), (MYSQL, "ü" * 64), (SQLITE, "b" * 500)])
def test_the_longest_name_is_kept(dialect: SqlDialect, name: str) -> None:
    assert name in quote(dialect, name)


def test_a_shown_name_is_one_printable_line() -> None:
    assert shown("a\nb\x1b[31m") == "a\\nb\\x1b[31m"
    assert shown("ümläut") == "ümläut"
