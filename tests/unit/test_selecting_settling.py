"""Which sessions may be in a commit, and how a table is cut: pure parts."""

from cdc.binlog.selecting.bounds import Stretch, guesses, steps
from cdc.binlog.selecting.settling import Committing, Thread, of_xa, place, still_pending
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


def test_a_session_that_commits_what_was_prepared_is_waited_for_until_it_does_something_else() -> None:
    before = [
        Thread(1, "query", "starting", "xa commit 'x'"),
        Thread(2, "query", "init", "  xa\ncommit 'y' one phase"),
        Thread(3, "query", "starting", "xa prepare 'z'"),
        Thread(4, "query", "starting", ""),
        Thread(5, "sleep", "", "xa commit 'v'"),
        Thread(6, "query", "starting", "xa commit 'w'"),
    ]
    pending = of_xa(before)
    assert [one.thread for one in pending] == [1, 2, 6]
    after = [Thread(1, "query", "init", "xa commit 'x'"), Thread(2, "query", "starting", "xa start 'a'"), before[4]]
    assert [one.thread for one in still_pending(pending, after)] == [1]


def test_places_are_compared_as_numbers() -> None:
    assert place(FilePosition("mysql-bin.999999", 4)) < place(FilePosition("mysql-bin.1000000", 4))


def test_a_table_is_cut_at_equal_distances() -> None:
    assert steps(0, 100, 4) == [25, 50, 75]
    assert steps(100, 0, 4) == [75, 50, 25]
    assert steps(1, 3, 10) == [2]
    assert steps(5, 5, 3) == []
    assert steps(-(2**63), 2**64, 2) == [2**62]


def test_cuts_lie_where_the_rows_do() -> None:
    assert guesses([Stretch(0, 100, 1000)], 4) == [25, 50, 75]
    close_together = [Stretch(0, 100, 0), Stretch(100, 110, 900), Stretch(110, 200, 100)]
    assert guesses(close_together, 2) == [105]
    assert guesses(close_together, 4) == [102, 105, 108]
    assert guesses([Stretch(0, 1, 1000), Stretch(1, 100, 0)], 4) == [0]
    assert guesses([Stretch(0, 100, 0)], 4) == []
