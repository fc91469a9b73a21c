"""Which sessions may be in a commit, and how a table is cut: pure parts."""

from cdc.binlog.selecting.bounds import steps
from cdc.binlog.selecting.settling import Committing, Thread, place, still_pending
from cdc.model.position import FilePosition


def test_a_session_is_waited_for_until_it_is_gone_idle_or_at_work_on_rows() -> None:
    pending = [Committing(number, "77") for number in range(1, 6)]
    threads = [
        Thread(2, "sleep", "", ""),
        Thread(3, "query", "waiting for handler commit", "commit"),
        Thread(4, "query", "updating", "update t set a = 1"),
        Thread(5, "query", "something new", "commit"),
        Thread(6, "query", "waiting for handler commit", "commit"),
    ]
    assert still_pending(pending, threads) == [Committing(3, "77"), Committing(5, "77")]


def test_places_are_compared_as_numbers() -> None:
    assert place(FilePosition("mysql-bin.999999", 4)) < place(FilePosition("mysql-bin.1000000", 4))


def test_a_table_is_cut_at_equal_distances() -> None:
    assert steps(0, 100, 4) == [25, 50, 75]
    assert steps(100, 0, 4) == [75, 50, 25]
    assert steps(1, 3, 10) == [2]
    assert steps(5, 5, 3) == []
    assert steps(-(2**63), 2**64, 2) == [2**62]
