"""A statement as words: what counts as text, as a name, as a comment."""

import pytest

from cdc.binlog.history.context import ANSI_QUOTES, NO_BACKSLASH_ESCAPES
from cdc.binlog.history.tokens import NAME, NUMBER, STRING, WORD, Reader, head, words


def texts(sql: str, sql_mode: int = 0, flavor: str = "mysql") -> list[str]:
    return [word.text for word in words(sql, sql_mode, flavor)]


@pytest.mark.parametrize(
    ("sql", "mysql", "mariadb"),
    [
        ("a /*!80023 INVISIBLE */ b", "a INVISIBLE b", "a INVISIBLE b"),
        ("a /*M!100301 INVISIBLE */ b", "a b", "a INVISIBLE b"),
        ("a /* 99999 INVISIBLE */ b", "a b", "a b"),
        ("/*! a */", "a", "a"),
        ("a\n/*!50100 b\nc */\nd", "a b c d", "a b c d"),
        ("a -- /*!50100 b */\nc", "a c", "a c"),
        ("a # /*!50100 b */\nc", "a c", "a c"),
        ("", "", ""),
    ],
)
def test_a_comment_counts_where_the_server_that_logged_it_executed_it(sql: str, mysql: str, mariadb: str) -> None:
    assert " ".join(texts(sql)) == mysql
    assert " ".join(texts(sql, 0, "mariadb")) == mariadb


def test_what_looks_like_a_comment_in_a_string_or_a_name_is_none() -> None:
    assert texts("'/*!5 x */' `/*!5 y */` /* z */ \"-- a\"") == ["/*!5 x */", "/*!5 y */", "-- a"]


@pytest.mark.parametrize(
    ("sql", "mode", "kind", "text"),
    [
        (r"'it''s \n \\ \% \q'", 0, STRING, "it's \n \\ \\% q"),
        (r"'a\n'", NO_BACKSLASH_ESCAPES, STRING, r"a\n"),
        (r"'\'", NO_BACKSLASH_ESCAPES, STRING, "\\"),
        ('"a""b"', 0, STRING, 'a"b'),
        ('"a""b"', ANSI_QUOTES, NAME, 'a"b'),
        (r'"a\nb"', ANSI_QUOTES, NAME, r"a\nb"),
        ("`a``b`", 0, NAME, "a`b"),
        (r"`a\nb`", 0, NAME, r"a\nb"),
        ('`a"b`', ANSI_QUOTES, NAME, 'a"b'),
        ("`x; DROP TABLE t--`", 0, NAME, "x; DROP TABLE t--"),
        ("`new\nline`", 0, NAME, "new\nline"),
        ("`😀`", 0, NAME, "😀"),
        ("`select`", 0, NAME, "select"),
        ("select", 0, WORD, "select"),
        ("1abc", 0, WORD, "1abc"),
        ("1.5", 0, NUMBER, "1.5"),
    ],
)
def test_quotes_and_escapes(sql: str, mode: int, kind: str, text: str) -> None:
    (word,) = words(sql, mode)
    assert (word.kind, word.text) == (kind, text)


def test_names_behind_wide_characters_are_cut_where_they_stand() -> None:
    assert texts("'😀' /* 😀 */ `a``😀` \"é\"", ANSI_QUOTES) == ["😀", "a`😀", "é"]


def test_pairs_that_the_tokenizer_joins_are_two_words() -> None:
    assert texts("PRIMARY  KEY DOUBLE\nPRECISION ORDER BY CHARACTER VARYING") == [
        *("PRIMARY", "KEY", "DOUBLE", "PRECISION", "ORDER", "BY", "CHARACTER", "VARYING")
    ]


def test_a_quote_that_does_not_end_is_refused() -> None:
    with pytest.raises(ValueError, match="no tokens"):
        words("ALTER TABLE `a")


def test_clauses_are_cut_at_commas_outside_parentheses() -> None:
    clauses = Reader(words("a (1, 2), 'x,y', `b,c`")).clauses()
    assert [[word.text for word in clause.rest()] for clause in clauses] == [
        ["a", "(", "1", ",", "2", ")"],
        ["x,y"],
        ["b,c"],
    ]


@pytest.mark.parametrize("sql", ["", "(", "5", "a.", ".a", "a.b c", "''"])
def test_what_is_no_name_is_refused(sql: str) -> None:
    def read() -> None:
        reader = Reader(words(sql))
        reader.name("db")
        reader.end()

    with pytest.raises(LookupError):
        read()


@pytest.mark.parametrize(
    "sql", ["CREATE TABLE t (a INT)", "CREATE /* " + "x" * 600 + " */ TABLE t", f"CREATE TABLE `{'x' * 600}` (a INT)"]
)
def test_a_statement_that_is_short_or_cannot_be_cut_has_no_head(sql: str) -> None:
    assert head(sql) is None


def test_a_head_ends_before_the_word_that_the_cut_may_have_shortened() -> None:
    found = head("CREATE TABLE t (" + "abcdefghi " * 100)
    assert found is not None
    assert {word.text for word in found[4:]} == {"abcdefghi"}
    assert len(found) == 4 + 48


def test_what_a_name_cannot_have_is_a_question_mark_as_mysql_makes_it_one() -> None:
    """Seen at 9.7: CREATE TABLE `a😀` logs the statement as it was written, and names the table `a?` in its table maps."""
    reader = Reader(words("`a😀b`.c😀 '😀'"))
    assert reader.name("") == ("a?b", "c?")
    assert reader.take().text == "😀"
