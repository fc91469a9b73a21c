"""What a stretch of the binlog touched: counts, times, GTIDs, and each key once."""

from collections.abc import Iterable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from cdc.binlog.port import Altered, Item, Passed, Truncated
from cdc.binlog.rows_port import Key
from cdc.model.change import Draft
from cdc.model.compiled import EncodedRows
from cdc.model.schema import Column, TableSchema
from cdc.model.schema_change import SchemaChange
from cdc.processes.row_choice import Choice, choice
from cdc.processes.touched import Touched
from cdc.wiring import build
from tests.support.shop_events import (
    COMMIT_US,
    ORDERS,
    UUID,
    created,
    deleted,
    draft,
    moved,
    point,
    rows,
    transaction,
    updated,
)

STOCK = TableSchema(
    "shop", "stock", (Column("sku", "varchar"), Column("n", "int"), Column("place", "int")), ("place", "sku")
)


def stocked(op: str, place: int, sku: str, schema: TableSchema = STOCK) -> Draft:
    row = {"sku": sku, "n": 1, "place": place}
    key = {name: row[name] for name in schema.key}
    return Draft(
        op, schema.db, schema.table, schema.fingerprint(), key, None if op == "c" else row, None if op == "d" else row
    )  # type: ignore[arg-type]


def touched(items: Iterable[Item], chosen: Choice | None = None) -> Touched:
    found = Touched(point(1), "mysql", chosen or Choice())
    for item in items:
        found.take(item)
    return found


def keys(found: Touched) -> dict[str, list[Key]]:
    return {one.name: list(found.keys(one)) for one in found.tables}


def test_each_key_counts_once_and_a_changed_one_twice() -> None:
    with touched(
        [
            *transaction(1, rows(created(1), created(2))),
            *transaction(
                2,
                rows(updated(1), *moved(2, 3)),
                rows(stocked("c", 4, "ü"), stocked("c", 4, "a")),
                schemas=(ORDERS, STOCK),
            ),
            *transaction(3, rows(deleted(1))),
        ]
    ) as found:
        assert keys(found) == {"shop.orders": [(1,), (2,), (3,)], "shop.stock": [(4, "a"), (4, "ü")]}
        orders, stock = found.tables
        assert orders.ops == {"c": 3, "u": 1, "d": 2}
        assert stock.ops == {"c": 2}
        assert (orders.committed.transactions, stock.committed.transactions) == (3, 1)
        assert found.committed.transactions == 3
        assert found.committed.first_us == COMMIT_US + 1_000_000
        assert found.committed.last_us == COMMIT_US + 3_000_000
        assert (found.begin, found.end) == (point(1), point(4))
        assert found.gtids() == f"{UUID}:1-3"
        assert [found.key_count(one) for one in found.tables] == [3, 2]
        assert stock.key == ("place", "sku")


def test_encoded_rows_count_as_drafts_do() -> None:
    if not hasattr(EncodedRows, "of"):
        encoded: Any = [updated(1), *moved(2, 3)]
    else:
        encoded = EncodedRows.of([updated(1), *moved(2, 3)])
    item = replace(rows(), drafts=encoded)
    with touched(transaction(1, item)) as found:
        assert keys(found) == {"shop.orders": [(1,), (2,), (3,)]}
        assert found.tables[0].ops == {"u": 1, "d": 1, "c": 1}


def test_tables_that_were_not_chosen_count_nowhere_but_the_end_moves_on() -> None:
    items = [*transaction(1, rows(created(1))), Passed(point(9), idle=False)]
    with touched(items, choice(["shop.stock"], [])) as found:
        assert found.tables == []
        assert found.committed.transactions == 0
        assert found.end == point(9)


def test_a_truncated_table_counts_whole() -> None:
    with touched([*transaction(1, rows(created(1))), *transaction(2, Truncated(60, "shop", "orders"))]) as found:
        (orders,) = found.tables
        assert orders.truncated == 1
        assert "TRUNCATE" in orders.whole
        assert orders.committed.transactions == 2


def test_a_key_of_another_shape_makes_the_table_whole() -> None:
    wider = replace(ORDERS, columns=(Column("id", "varchar"), *ORDERS.columns[1:]))
    again = draft("c", 2, None, {"id": 2}, wider)
    with touched([*transaction(1, rows(created(1))), *transaction(2, rows(again), schemas=(wider,))]) as found:
        assert found.tables[0].whole == "its key changed"


def test_a_renamed_table_takes_its_keys_along_and_a_dropped_one_leaves_them() -> None:
    renamed = SchemaChange("rename", "shop", "orders", to=("shop", "sales"), ddl="RENAME TABLE orders TO sales")
    dropped = SchemaChange("drop", "shop", "stock", ddl="DROP TABLE stock")
    items = [
        *transaction(1, rows(created(1)), rows(stocked("c", 1, "a")), schemas=(ORDERS, STOCK)),
        *transaction(2, Altered(60, 0, renamed)),
        *transaction(3, Altered(60, 0, dropped)),
        *transaction(4, rows(stocked("c", 2, "b")), schemas=(STOCK,)),
    ]
    with touched(items) as found:
        assert keys(found) == {"shop.sales": [(1,)], "shop.stock": [(2, "b")]}
        assert [change.kind for change in found.schema_changes] == ["rename", "drop"]
        assert found.committed.transactions == 4


def test_many_keys_are_held_and_found_again() -> None:
    items = [item for number in range(1, 60) for item in transaction(number, rows(*(created(n) for n in range(500))))]
    with touched(items) as found:
        assert found.key_count(found.tables[0]) == 500
        assert sorted(found.keys(found.tables[0])) == [(number,) for number in range(500)]


def test_a_refresh_sends_the_keys_of_each_table_that_is_still_there_and_names_those_that_count_whole() -> None:
    gone = replace(ORDERS, table="gone")
    rekeyed = replace(STOCK, table="rekeyed")
    items = [
        *transaction(1, rows(created(1), created(2)), rows(stocked("c", 1, "a")), schemas=(ORDERS, STOCK)),
        *transaction(
            2, rows(draft("c", 5, None, {"id": 5}, gone)), rows(stocked("c", 7, "k", rekeyed)), schemas=(gone, rekeyed)
        ),
        *transaction(3, Truncated(60, "shop", "logins")),
    ]
    logins = replace(ORDERS, table="logins")
    present = [replace(ORDERS, key=()), STOCK, replace(rekeyed, key=("sku",)), logins]
    parts: Any = SimpleNamespace(source=SimpleNamespace(tables=lambda: present))
    sent: list[tuple[str, str, list[Key]]] = []
    with touched(items) as found:
        whole = build.refresh(parts, found, lambda db, table, some: sent.append((db, table, list(some))))
    assert sent == [("shop", "orders", [(1,), (2,)]), ("shop", "stock", [(1, "a")])]
    assert sorted(one.name for one in whole) == ["shop.logins", "shop.rekeyed"]
