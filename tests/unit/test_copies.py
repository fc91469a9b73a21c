"""What is left of a copy: ranges, tables, and what is certain of it after a loss."""

from dataclasses import replace

from cdc.model.checkpoint import Checkpoint, SourcePoint
from cdc.model.copies import NO_COPIES, Copies, KeyRange, TableCopy, least
from cdc.model.position import Sequence
from cdc.processes.outbound import tolerant

ORDERS = TableCopy("shop", "orders", ranges=(KeyRange(None, (10,)), KeyRange((10,), None)), estimated=20)
ITEMS = TableCopy("shop", "items")


def test_ranges_shrink_and_a_table_is_done_with_its_last() -> None:
    copies = NO_COPIES.begun([ORDERS, ITEMS])
    first, second = ORDERS.ranges
    copies = copies.sent("shop", "orders", second, None, 7)
    assert copies.table("shop", "orders") == TableCopy("shop", "orders", ranges=(first,), rows=7, estimated=20)
    rest = KeyRange((4,), (10,))
    copies = copies.sent("shop", "orders", first, rest, 4)
    assert copies.tables[0].ranges == (rest,)
    assert copies.tables[0].rows == 11
    copies = copies.sent("shop", "orders", rest, None, 6)
    assert copies.done == ("shop.orders",)
    assert copies.tables == (ITEMS,)
    assert copies.step == 4


def test_what_is_not_under_way_changes_nothing() -> None:
    copies = NO_COPIES.begun([ORDERS])
    assert copies.sent("shop", "items", KeyRange(), None, 1) is copies
    assert copies.sent("shop", "orders", KeyRange((1,), None), None, 1) is copies


def test_a_table_begins_anew_when_it_is_asked_for_again() -> None:
    copies = NO_COPIES.begun([ITEMS]).sent("shop", "items", KeyRange(), None, 3)
    assert copies.done == ("shop.items",)
    again = copies.begun([ITEMS], "r1")
    assert (again.tables, again.done, again.requests) == ((ITEMS,), (), ("r1",))


def test_a_copy_that_is_given_up_is_remembered_as_not_whole() -> None:
    copies = NO_COPIES.begun([ORDERS, ITEMS]).without(["shop.orders", "shop.none"])
    assert copies.given_up == ("shop.orders",)
    assert copies.tables == (ITEMS,)
    assert copies.begun([ORDERS]).given_up == ()


def test_copies_survive_the_checkpoint() -> None:
    copies = NO_COPIES.begun([ORDERS, ITEMS], "r").pausing(True).without(["shop.items"])
    point = SourcePoint("s", "mysql-bin.000001", 4)
    stored = Checkpoint(1, point, 1, "f", copies=copies)
    assert Checkpoint.from_json(stored.to_json()) == stored
    assert Copies.from_json(copies.to_json()) == copies


def test_a_checkpoint_of_an_older_version_has_none() -> None:
    text = Checkpoint(1, SourcePoint("s", "mysql-bin.000001", 4), 1, "f").to_json()
    older = text.replace(b',"copies":' + NO_COPIES.to_json(), b"")
    assert older != text
    assert Checkpoint.from_json(older).copies == NO_COPIES


def test_after_a_loss_the_least_that_a_lane_has_noted_counts() -> None:
    begun = NO_COPIES.begun([ORDERS])
    half = begun.sent("shop", "orders", ORDERS.ranges[0], None, 10)
    whole = half.sent("shop", "orders", ORDERS.ranges[1], None, 10)
    texts = [one.to_json().decode() for one in (whole, half, whole)]
    found = least(texts)
    assert found is not None
    assert found.tables == half.tables
    assert found.step > whole.step
    assert least([]) is None
    assert least(["", ""]) is None


def test_where_a_lane_has_noted_nothing_all_begins_anew() -> None:
    whole = NO_COPIES.begun([ITEMS, ORDERS]).sent("shop", "items", KeyRange(), None, 3)
    found = least([whole.to_json().decode(), ""])
    assert found is not None
    assert {copy.name: copy.ranges for copy in found.tables} == {
        "shop.orders": (KeyRange(),),
        "shop.items": (KeyRange(),),
    }
    assert found.done == ()


def test_a_copy_follows_its_table_and_goes_with_it() -> None:
    copies = NO_COPIES.begun([ORDERS, ITEMS]).sent("shop", "items", KeyRange(), None, 3)
    moved = copies.renamed("shop", "orders", ("shop", "sales")).renamed("shop", "items", ("shop", "goods"))
    assert moved.table("shop", "sales") == TableCopy("shop", "sales", ranges=ORDERS.ranges, estimated=20)
    assert moved.done == ("shop.goods",)
    gone = moved.dropped("shop", "sales").dropped("shop", "goods")
    assert (gone.tables, gone.done, gone.given_up) == ((), (), ())
    assert copies.renamed("shop", "else", ("a", "b")) is copies.dropped("shop", "else") is copies


def test_a_table_that_was_given_up_lacks_nothing_once_it_is_emptied_or_dropped_and_keeps_its_name() -> None:
    copies = NO_COPIES.begun([ORDERS, ITEMS]).without(["shop.orders", "shop.items"])
    assert copies.renamed("shop", "orders", ("shop", "sales")).given_up == ("shop.sales", "shop.items")
    assert copies.emptied("shop", "orders").given_up == ("shop.items",)
    assert copies.dropped("shop", "items").given_up == ("shop.orders",)
    assert copies.emptied("shop", "else") is copies


def test_changes_are_a_replay_while_anything_is_copied_and_not_for_ever_after_one_was_given_up() -> None:
    reached = Sequence(1, 1, 500, 0)
    begun = tolerant(
        Checkpoint(1, SourcePoint("s", "mysql-bin.000001", 4), 1, "f", copies=NO_COPIES.begun([ORDERS])), reached
    )
    assert begun.replay_until > Sequence(1, 10**9, 0, 0)
    ended = tolerant(replace(begun, copies=begun.copies.without(["shop.orders"])), reached)
    assert ended.replay_until == reached
