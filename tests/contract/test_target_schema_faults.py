"""The port's contract, held by every adapter in the registry on its real server: schema changes that are cut short anywhere."""

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from cdc.model.errors import CdcError, Fenced, TargetUnavailable
from cdc.model.schema import Column, TableSchema
from cdc.model.schema_change import AddColumn, ModifyColumn, RenameColumn, SchemaChange, SetKey
from cdc.observe.failpoints import arm
from cdc.target.port import LaneWriter, Target
from tests.contract.conftest import LEASE_SECONDS
from tests.support.targets import Place, inserts, moved, write
from tests.support.wait import until

UTF8: dict[str, Any] = {"charset": "utf8mb4", "collation": "utf8mb4_general_ci"}
ID = Column("id", "int", nullable=False)
A, B = Column("a", "int", nullable=False), Column("b", "int")
HANDS = {
    "postgresql": "cdc.target.postgresql_schema",
    "sqlite": "cdc.target.sqlite_schema",
    "mysql": "cdc.target.mysql_schema",
    "mariadb": "cdc.target.mysql_schema",
}


def _before(table: str) -> TableSchema:
    return TableSchema("shop", table, (ID, A, B), ("id",))


def _change(table: str) -> SchemaChange:
    """Names that change places, fills of both kinds, a wider type, another key."""
    steps = (
        RenameColumn("a", "b"),
        RenameColumn("b", "a"),
        AddColumn(Column("n", "int"), 7, after="id"),
        AddColumn(Column("t", "text", **UTF8), "filled"),
        ModifyColumn(Column("a", "bigint"), Column("a", "int")),
        SetKey(("b",)),
    )
    return SchemaChange("alter", "shop", table, steps)


class Stop:
    """Stops at the `number`-th statement of a schema change, before it or after it."""

    def __init__(self, number: int, after: bool) -> None:
        self.number, self.after = number, after
        self.count = 0
        self.fired = False

    def passing(self, do: Callable[[Any, str], None], hands: Any, sql: str) -> None:
        self.count += 1
        stops = self.count == self.number
        if stops and not self.after:
            self._fire()
        do(hands, sql)
        if stops and self.after:
            self._fire()

    def _fire(self) -> None:
        self.fired = True
        raise TargetUnavailable("the connection is lost", hint="it is the test that says so")


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_change_that_was_cut_short_at_any_statement_is_finished_by_the_next_worker(
    place: Place, target: Target, after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not place.sql:
        pytest.skip("memory makes its change in one step")
    hands: Any = import_module(HANDS[place.kind]).SchemaHands
    real = hands.do
    for number in range(1, 20):
        table = f"t{number}"
        stop = Stop(number, after)
        monkeypatch.setattr(hands, "do", lambda self, sql, stop=stop: stop.passing(real, self, sql))
        _once(target, place, table, 10 * number)
        if not stop.fired:
            assert number > 1
            return
    pytest.fail("a change has no 20 statements")


def _once(target: Target, place: Place, table: str, token: int) -> None:
    opened = target.writer(LEASE_SECONDS)
    opened.take_over("0", token)
    write(opened, inserts({"id": 1, "a": 10, "b": 20}, {"id": 2, "a": 11, "b": None}, schema=_before(table)))
    progress = opened.begin()
    try:
        opened.change_schema(_change(table))
        opened.commit(moved(progress, 2))
    except TargetUnavailable:
        # As after a kill: nothing is rolled back by us, the connection is gone.
        opened.close()
        opened = target.writer(LEASE_SECONDS)
        assert opened.take_over("0", token + 1) is not None
        progress = opened.begin()
        opened.change_schema(_change(table))
        opened.commit(moved(progress, 2))
    opened.close()
    assert place.rows(table, ["id", "n", "a", "b", "t"]) == [(1, 7, 20, 10, "filled"), (2, 7, None, 11, "filled")]


@pytest.fixture
def rival(target: Target) -> Iterator[LaneWriter]:
    opened = target.writer(LEASE_SECONDS)
    yield opened
    opened.close()


class Zombie:
    """A worker in a thread of its own that sleeps at a certain place, until it is woken."""

    def __init__(self, writer: LaneWriter) -> None:
        self._writer = writer
        self.asleep = threading.Event()
        self.wake = threading.Event()
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._work)

    def sleep(self) -> None:
        self.asleep.set()
        assert self.wake.wait(60)

    def _work(self) -> None:
        try:
            progress = self._writer.begin()
            self._writer.change_schema(_change("t"))
            self._writer.commit(moved(progress, 9))
        except BaseException as error:  # noqa: BLE001 - looked at by the test
            self.error = error

    def end(self) -> BaseException | None:
        self.wake.set()
        self.thread.join(60)
        assert not self.thread.is_alive()
        self._writer.rollback()
        return self.error


def _unchanged(place: Place) -> None:
    assert place.rows("t", ["id", "a", "b"]) == [(1, 10, 20)]


@pytest.mark.parametrize("where", ["before the second connection", "before the statement"])
def test_a_worker_stopped_between_the_lock_and_the_ddl_changes_nothing_after_it_was_overtaken(
    writer: LaneWriter, rival: LaneWriter, place: Place, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not place.sql or place.kind == "sqlite":
        pytest.skip("no server that could end the holder: docs/decisions/0005-targets.md")
    mysql = place.kind in {"mysql", "mariadb"}
    if not mysql and where != "before the statement":
        pytest.skip("one connection does all")
    write(writer, inserts({"id": 1, "a": 10, "b": 20}, schema=_before("t")))
    zombie = Zombie(writer)
    if where == "before the statement":
        hands: Any = import_module(HANDS[place.kind]).SchemaHands
        real = hands.do

        def do(self: Any, sql: str) -> None:
            if threading.current_thread() is zombie.thread:
                zombie.sleep()
            real(self, sql)

        monkeypatch.setattr(hands, "do", do)
    else:
        inner: Any = writer
        really_open = inner._open_ddl

        def open_ddl() -> Any:
            zombie.sleep()
            return really_open()

        monkeypatch.setattr(writer, "_open_ddl", open_ddl)
    zombie.thread.start()
    assert zombie.asleep.wait(30)
    rival.take_over("0", 6)
    _unchanged(place)
    assert isinstance(zombie.end(), CdcError)
    _unchanged(place)
    progress = rival.begin()
    rival.change_schema(_change("t"))
    rival.commit(moved(progress, 2))
    assert place.rows("t", ["id", "n", "a", "b", "t"]) == [(1, 7, 20, 10, "filled")]
    with pytest.raises(Fenced):
        rival.take_over("0", 5)


def test_a_statement_that_outlives_its_worker_at_the_server_is_ended_before_the_lane_goes_on(
    target: Target, rival: LaneWriter, place: Place
) -> None:
    if place.kind not in {"mysql", "mariadb"}:
        pytest.skip("elsewhere a statement ends with the transaction")
    dead: Any = target.writer(30.0)
    dead.take_over("0", 1)
    write(dead, inserts({"id": 1, "a": 10, "b": 20}, schema=_before("t")))
    zombie = Zombie(dead)
    with place.reading("SELECT * FROM t"):
        zombie.thread.start()
        waits = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE STATE LIKE '%metadata lock%'"
        until(lambda: place.execute(waits)[0][0] == 1, 30, "the ALTER waits for the reader")
        # The worker is killed: the lane's row is free at once, the ALTER still waits in the server.
        dead._opened[0].close()
        rival.take_over("0", 6)
        assert place.execute(waits)[0][0] == 0
    assert isinstance(zombie.end(), CdcError)
    _unchanged(place)
    progress = rival.begin()
    rival.change_schema(_change("t"))
    rival.commit(moved(progress, 2))
    assert place.rows("t", ["id", "a", "b"]) == [(1, 20, 10)]


def change_and_die(kind: str, url: str, statement: int) -> None:
    """In a process of its own: a worker that is killed (SIGKILL) before the given statement of its schema change."""
    opened = Place(kind, url).open().writer(LEASE_SECONDS)
    opened.take_over("0", 7)
    arm(f"sink.altering:kill@{statement}")
    opened.begin()
    opened.change_schema(_change("t"))


@pytest.mark.parametrize("statement", [1, 2, 3])
def test_a_worker_that_is_killed_in_the_middle_leaves_what_the_next_one_finishes(
    writer: LaneWriter, target: Target, place: Place, statement: int
) -> None:
    if not place.sql:
        pytest.skip("memory dies with its process")
    write(writer, inserts({"id": 1, "a": 10, "b": 20}, schema=_before("t")))
    writer.close()
    module = "tests.contract.test_target_schema_faults"
    code = f"import {module} as tests; tests.change_and_die({place.kind!r}, {place.url!r}, {statement})"
    root = Path(__file__).parents[2]
    died = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, timeout=120, check=False)
    assert died.returncode == -signal.SIGKILL, died.stderr
    opened = target.writer(LEASE_SECONDS)
    until(lambda: opened.take_over("0", 8) is not None, 30, "the lane is free")
    progress = opened.begin()
    opened.change_schema(_change("t"))
    opened.commit(moved(progress, 2))
    opened.close()
    assert place.rows("t", ["id", "n", "a", "b", "t"]) == [(1, 7, 20, 10, "filled")]
