"""What `cdc tail` writes for people."""

import pytest

from cdc.binlog.port import Altered, Truncated
from cdc.cli.tail_lines import lines, of_message, of_row, of_table
from cdc.model.change import Transaction, render_change
from cdc.model.position import Sequence
from cdc.model.schema_change import SchemaChange
from cdc.processes.look import RowSeen, TableSeen, look
from cdc.processes.row_choice import Choice
from tests.support.shop_events import (
    COMMIT_US,
    UUID,
    created,
    deleted,
    draft,
    moved,
    point,
    row,
    rows,
    transaction,
    updated,
)

HEAD = f"2023-11-14T22:13:21.000000Z  {UUID}:1  thread 12  "


def drawn(*items: object, values: bool = True, coloured: bool = False) -> str:
    found = []
    for seen in look(transaction(1, *items), Choice()):  # type: ignore[arg-type]
        if isinstance(seen, RowSeen):
            found.append(lines(of_row(seen), values=values, coloured=coloured))
        elif isinstance(seen, TableSeen):
            found.append(lines(of_table(seen), values=values, coloured=coloured))
    return "\n".join(found)


def test_an_update_shows_only_what_changed_before_and_after() -> None:
    assert drawn(rows(updated(5))) == f'{HEAD}UPDATE  shop.orders  id=5\n    total  "1.50" → "2.00"'


def test_a_changed_key_shows_both() -> None:
    assert drawn(rows(*moved(5, 7))) == f"{HEAD}UPDATE  shop.orders  id=5 → id=7\n    id  5 → 7"


def test_inserts_and_deletes_show_the_whole_row() -> None:
    body = '    id     5\n    total  "1.50"\n    at     "2024-02-29T01:02:03Z"'
    assert drawn(rows(created(5))) == f"{HEAD}INSERT  shop.orders  id=5\n{body}"
    assert drawn(rows(deleted(5))) == f"{HEAD}DELETE  shop.orders  id=5\n{body}"


def test_without_values_a_row_keeps_them() -> None:
    assert drawn(rows(updated(5)), values=False) == f"{HEAD}UPDATE  shop.orders  id=5\n    changed: total"
    assert drawn(rows(created(5)), values=False) == f"{HEAD}INSERT  shop.orders  id=5"


def test_the_statement_stands_below_on_one_line() -> None:
    assert "\n    UPDATE orders\\nSET total = 2\n" in drawn(rows(updated(5), query="UPDATE orders\nSET total = 2"))


def test_null_is_told_from_text_and_what_is_not_known_is_said() -> None:
    change = draft("u", 5, {"id": 5, "total": None}, {"id": 5, "total": "NULL", "at": None})
    assert drawn(rows(change)).splitlines()[1:] == ['    total  NULL → "NULL"', "    at     (not in the binlog) → NULL"]


def test_control_characters_and_long_values_stay_harmless() -> None:
    text = drawn(rows(draft("u", 5, row(5), row(5, "\x1b[2J" + "x" * 9000))))
    assert "\x1b" not in text
    assert len(text) < 1000
    assert "characters)" in text


def test_truncate_and_schema_changes_are_lines_too() -> None:
    assert drawn(Truncated(60, "shop", "orders")) == f"{HEAD}TRUNCATE  shop.orders"
    change = SchemaChange("alter", "shop", "orders", ddl="ALTER TABLE orders ADD x INT")
    assert drawn(Altered(60, 0, change)) == f"{HEAD}ALTER  shop.orders  ALTER TABLE orders ADD x INT"


def test_colours_touch_the_word_alone() -> None:
    assert "\x1b[33m\x1b[1mUPDATE\x1b[0m  shop.orders" in drawn(rows(updated(5)), coloured=True)


@pytest.mark.parametrize(("gtid", "named"), [(f"{UUID}:1", f"{UUID}:1"), (None, "mysql-bin.000003:100")])
def test_a_message_of_the_queue_reads_the_same(gtid: str | None, named: str) -> None:
    message = render_change(
        updated(5),
        connector="shop",
        flavor="mysql",
        transaction=Transaction(point(1), 1, gtid, 12, COMMIT_US + 1_000_000),
        seq=Sequence(1, 3, 50, 0),
        event_offset=50,
        lane="0",
        n=1,
        token=1,
        total_order=1,
        table_order=1,
        ends_transaction=True,
        replay=False,
        now_ms=0,
    )
    head = HEAD.replace(f"{UUID}:1", named)
    assert lines(of_message(message.key, message.value), values=True, coloured=False) == (
        f'{head}UPDATE  shop.orders  id=5\n    total  "1.50" → "2.00"'
    )
