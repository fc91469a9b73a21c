"""`--table` and `--key`: what they choose, and what is no key."""

import pytest

from cdc.model.change import Row
from cdc.model.errors import UsageError
from cdc.processes.row_choice import Choice, choice, wanted_key


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("5", {"id": 5}),
        ("5", {"name": "5"}),
        ('{"id": 5}', {"id": 5}),
        ("[5]", {"id": 5}),
        ("18446744073709551615", {"id": 2**64 - 1}),
        ('[5, "a"]', {"id": 5, "place": "a"}),
        ('{"place": "a", "id": 5}', {"id": 5, "place": "a"}),
        ("1.50", {"price": "1.50"}),
        ('{"price": 1.50}', {"price": "1.50"}),
        ("0.1", {"ratio": 0.1}),
        ("1e300", {"ratio": 1e300}),
        ("0x00FF", {"raw": "AP8="}),
        ("AP8=", {"raw": "AP8="}),
        ("0xZZ", {"name": "0xZZ"}),
        ("é'; --", {"name": "é'; --"}),
    ],
)
def test_a_key_is_found_by_its_value_as_a_person_writes_it(text: str, key: Row) -> None:
    assert wanted_key(text).is_of(key)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("5", {"id": 50}),
        ("5", {"id": 5, "place": "a"}),
        ("a", {"name": "A"}),
        ('["a", 5]', {"id": 5, "place": "a"}),
        ('{"nr": 5}', {"id": 5}),
        ("x", {"ratio": 0.1}),
        ("0x00FF", {"raw": "AP8"}),
        ("1.5", {"price": "1.50"}),
    ],
)
def test_no_other_row_is(text: str, key: Row) -> None:
    assert not wanted_key(text).is_of(key)


@pytest.mark.parametrize("text", ["{", "[1, ", "[]", "{}", "[null]", '{"id": {"a": 1}}', "[[1]]"])
def test_what_is_no_key_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="--key"):
        wanted_key(text)


def test_tables_are_patterns_and_several_of_each_count() -> None:
    chosen = choice(["shop.ord*", "log.?"], ["5", "6"])
    assert chosen.has_table("shop", "orders")
    assert chosen.has_table("log", "x")
    assert not chosen.has_table("shop", "logins")
    assert chosen.has_row({"id": 6})
    assert chosen.has_row({"id": 1}, {"id": 5})
    assert not chosen.has_row({"id": 1}, {"id": 2})
    assert Choice().is_all
    assert Choice().has_row({"id": 1})


@pytest.mark.parametrize("pattern", ["orders", "!shop.orders"])
def test_a_pattern_without_database_or_with_an_exclusion_is_refused(pattern: str) -> None:
    with pytest.raises(UsageError, match=r"db\.table"):
        choice([pattern], [])
