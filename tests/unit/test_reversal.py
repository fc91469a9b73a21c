"""The script of `--reverse-sql`: newest first, whole transactions, and nothing passed over in silence."""

from collections.abc import Iterable
from dataclasses import replace
from io import BytesIO

import pytest

from cdc.binlog.port import Altered, End, Item, Truncated
from cdc.model.errors import TableRefused
from cdc.model.schema import Column
from cdc.model.schema_change import SchemaChange
from cdc.model.table_version import TableVersion
from cdc.processes.look import look
from cdc.processes.reversal import KeptBack, Reversal, TypesTold
from cdc.processes.row_choice import Choice, choice
from tests.support.shop_events import ORDERS, UUID, created, deleted, draft, moved, rows, transaction, updated


def reversal(
    items: Iterable[Item], chosen: Choice | None = None, kept_back: KeptBack | None = None
) -> tuple[str, Reversal]:
    made = Reversal(BytesIO(), kept_back or KeptBack(), TypesTold("mysql", {}), lambda column: False)
    for seen in look(items, chosen or Choice()):
        made.take(seen)
    return "".join(made.lines(["Undoes it."])), made


def statements(script: str) -> list[str]:
    """Without comments and settings."""
    return [line for line in script.splitlines() if line and not line.startswith(("--", "SET "))]


def test_the_newest_transaction_and_the_newest_row_come_first() -> None:
    items = [*transaction(1, rows(created(1), created(2))), *transaction(2, rows(updated(1)), rows(deleted(2)))]
    script, made = reversal(items)
    kinds = [line.split()[0] for line in statements(script)]
    assert kinds == ["START", "INSERT", "UPDATE", "COMMIT;", "START", "DELETE", "DELETE", "COMMIT;"]
    assert next(line for line in statements(script) if "DELETE" in line).endswith("`id` = 2 LIMIT 1;")
    assert script.index(f"undoes transaction {UUID}:2 at mysql-bin.000003:200") < script.index(f"{UUID}:1 at")
    assert (made.changes, made.refused) == (4, 0)
    assert script.startswith("-- Undoes it.\n")
    assert script.rstrip().endswith("-- 4 statements")


def test_rows_that_were_not_chosen_are_left_alone_and_their_transactions_are_not_named() -> None:
    items = [*transaction(1, rows(created(1))), *transaction(2, rows(*moved(5, 7))), *transaction(3, rows(deleted(1)))]
    for key in ("5", "7"):
        script, made = reversal(items, choice(["shop.orders"], [key]))
        assert made.changes == 1
        assert f"{UUID}:2" in script
        assert f"{UUID}:1" not in script
    script, made = reversal(items, choice(["shop.logins"], []))
    assert statements(script) == []


def test_truncate_and_schema_changes_are_said_in_their_place_and_counted() -> None:
    altered = SchemaChange("alter", "shop", "orders", ddl="ALTER TABLE orders\nADD x INT")
    items = [
        *transaction(1, rows(created(1))),
        *transaction(2, Truncated(60, "shop", "orders")),
        *transaction(3, Altered(60, 0, altered)),
        *transaction(4, rows(created(2))),
    ]
    script, made = reversal(items)
    assert made.refused == 2
    order = [
        "`id` = 2",
        "NOT UNDONE: ALTER shop.orders: ALTER TABLE orders\\nADD x INT",
        "NOT UNDONE: TRUNCATE shop.orders",
        "`id` = 1",
    ]
    assert [script.index(one) for one in order] == sorted(script.index(one) for one in order)
    assert script.count("START TRANSACTION;") == script.count("COMMIT;") == 2
    assert "2 not undone" in script


def test_a_row_that_cannot_be_undone_is_said_without_its_values() -> None:
    secret = draft("d", 5, {"id": 5, "total": "987654.32"}, None)
    script, made = reversal(transaction(1, rows(secret)))
    assert (made.changes, made.refused) == (0, 1)
    assert (
        "-- NOT UNDONE: DELETE of a row of shop.orders (key id): the binlog does not hold what it had in at" in script
    )
    assert "987654" not in script


def test_a_transaction_without_an_end_is_not_undone() -> None:
    whole = transaction(1, rows(created(1)))
    torn = [item for item in transaction(2, rows(created(2), created(3))) if not isinstance(item, End)]
    script, made = reversal([*whole, *torn])
    assert (made.changes, made.refused) == (1, 1)
    assert statements(script) == [
        "START TRANSACTION;",
        "DELETE FROM `shop`.`orders` WHERE `id` = 1 LIMIT 1;",
        "COMMIT;",
    ]
    assert "may never have been committed" in script


def test_statements_and_names_stand_on_one_line_of_comment() -> None:
    script, _ = reversal(transaction(1, rows(created(1), query="INSERT INTO orders\nVALUES (1); -- \x1b[2J")))
    assert "-- was: INSERT INTO orders\\nVALUES (1); -- \\x1b[2J\n" in script


def test_columns_that_are_kept_back_refuse_the_table_before_anything_is_written() -> None:
    with pytest.raises(TableRefused, match="total"):
        reversal(transaction(1, rows(created(1))), kept_back=KeptBack(["shop.*.total"], []))
    script, _ = reversal(transaction(1, rows(created(1))), kept_back=KeptBack(["shop.logins.email"], ["*.*.password"]))
    assert statements(script)


def test_an_unstrict_statement_stands_between_its_modes() -> None:
    schema = replace(ORDERS, columns=(Column("id", "int"), Column("kind", "enum", members=("a",))))
    change = draft("d", 5, {"id": 5, "kind": ""}, None, schema)
    script, _ = reversal(transaction(1, rows(change), schemas=(schema,)))
    lines = script.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("INSERT"))
    assert "STRICT" not in lines[at - 1]
    assert "STRICT_ALL_TABLES" in lines[at + 1]


def test_a_binary_of_mariadb_that_may_be_a_uuid_is_certain_by_history_or_by_the_server_alone() -> None:
    column = Column("id", "binary", length=16)
    schema = replace(ORDERS, columns=(column,))
    assert TypesTold("mysql", {}).disguised(schema, column) == ""
    assert TypesTold("mariadb", {}).disguised(schema, Column("id", "binary", length=5)) == ""
    assert TypesTold("mariadb", {}).disguised(schema, column)
    assert TypesTold("mariadb", {"shop.orders.id": "uuid"}).disguised(schema, column)
    assert TypesTold("mariadb", {"shop.orders.id": "binary"}).disguised(schema, column) == ""
    told = TypesTold("mariadb", {})
    told.learn([TableVersion("s", 1, 4, "shop", "orders", schema)])
    assert told.disguised(schema, column)
    told.learn([TableVersion("s", 1, 4, "shop", "orders", schema, virtual=())])
    assert told.disguised(schema, column) == ""


def test_a_long_range_is_read_back_piece_by_piece() -> None:
    items = [item for number in range(1, 400) for item in transaction(number, rows(created(number)))]
    script, made = reversal(items)
    ids = [int(line.split("`id` = ")[1].split()[0]) for line in statements(script) if line.startswith("DELETE")]
    assert ids == list(range(399, 0, -1))
    assert made.changes == 399
