"""The two drafts of an update that changed the key are one change again; nothing else is put together."""

from cdc.binlog.row_changes import row_changes
from tests.support.shop_events import created, deleted, moved, row, updated


def test_a_changed_key_is_one_update_under_both_keys() -> None:
    (change,) = row_changes(moved(1, 2))
    assert (change.op, change.key, change.new_key, change.drafts) == ("u", {"id": 1}, {"id": 2}, 2)
    assert (change.before, change.after) == (row(1), row(2))
    assert change.keys == ({"id": 1}, {"id": 2})


def test_an_update_event_keeps_its_order_and_its_numbers() -> None:
    changes = list(row_changes([updated(7), *moved(1, 2), updated(8), *moved(3, 4)]))
    assert [(change.op, change.number, change.drafts) for change in changes] == [
        ("u", 0, 1),
        ("u", 1, 2),
        ("u", 3, 1),
        ("u", 4, 2),
    ]


def test_events_of_inserts_and_of_deletes_stay_what_they_are() -> None:
    assert [(change.op, change.key, change.new_key) for change in row_changes([deleted(1), deleted(2)])] == [
        ("d", {"id": 1}, {}),
        ("d", {"id": 2}, {}),
    ]
    assert [(change.op, change.keys) for change in row_changes([created(1), created(2)])] == [
        ("c", ({"id": 1},)),
        ("c", ({"id": 2},)),
    ]
