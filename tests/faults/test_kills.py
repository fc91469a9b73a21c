"""SIGKILL at random moments and at chosen ones, under load: equal afterwards, and no process ends in any other way."""

import os
import random
import signal

import pytest

from tests.support.chaos import Chaos, Kinds, Load, chaos, new_seed
from tests.support.fleet import Fleet
from tests.support.pipeline import Process
from tests.support.sysbench import Sizes, Sysbench
from tests.support.wait import until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1500)]

KILLS = int(os.environ.get("CDC_FAULT_KILLS", "10"))
LARGE_ROWS = int(os.environ.get("CDC_FAULT_LARGE_ROWS", "100000"))


class Crew:
    """A reader and two sinks, each of which has a successor when it is killed."""

    def __init__(self, fleet: Fleet, pick: random.Random) -> None:
        self._fleet = fleet
        self._pick = pick
        self._posts = {"reader": fleet.reader(), "sink one": fleet.sink(), "sink two": fleet.sink()}
        kinds = ["reader", "sink", "all", "sink", "reader", "all", "sink", "reader", "sink", "all"]
        self._whom = [kinds[number % len(kinds)] for number in range(KILLS)]
        pick.shuffle(self._whom)

    def strike(self) -> None:
        """Kills the next on the list, and starts the successors."""
        kind = self._whom.pop()
        posts = {"reader": ["reader"], "all": list(self._posts), "sink": [self._pick.choice(["sink one", "sink two"])]}
        for post in posts[kind]:
            self._fleet.kill(self._posts[post])
        for post in posts[kind]:
            self._posts[post] = self._fleet.start(post.split()[0])

    @property
    def left(self) -> int:
        return len(self._whom)


@pytest.mark.parametrize(
    "kinds",
    [
        Kinds("mysql", "redis", "postgresql", "key"),
        Kinds("mysql", "kafka", "mysql", "transaction"),
        Kinds("mysql", "kafka", "postgresql", "key"),
        Kinds("mariadb", "redis", "mariadb", "transaction"),
        Kinds("mariadb", "redis", "sqlite", "key"),
    ],
    ids=str,
)
def test_ten_kills_at_random_moments_lose_nothing_and_double_nothing(
    kinds: Kinds, request: pytest.FixtureRequest
) -> None:
    seed = new_seed()
    pick = random.Random(seed)
    with chaos(request, kinds, seed=seed) as case:
        crew = Crew(case.fleet, pick)
        with Load(case.work, pause_seconds=0.01) as load:
            while crew.left:
                load.more(pick.randint(5, 200))
                if pick.random() < 0.5:  # now and then while all is still starting
                    before = case.applied() if case.begun() else 0
                    until(lambda before=before: case.begun() and case.applied() > before, 90, "something is applied")
                crew.strike()
        case.finish(180)


@pytest.mark.parametrize(
    "kinds",
    [Kinds("mysql", "redis", "postgresql", "key"), Kinds("mysql", "kafka", "mysql", "transaction")],
    ids=str,
)
def test_ten_kills_under_sysbench(kinds: Kinds, request: pytest.FixtureRequest) -> None:
    seed = new_seed()
    pick = random.Random(seed)
    sizes = Sizes.of_environment()
    with chaos(request, kinds, lease_seconds=4, lanes=4) as case:
        sysbench = Sysbench(case.source.url, sizes, case.folder, seed=seed % 2**31)
        sysbench.prepare()
        case.keys = dict.fromkeys(sizes.table_names, ("id",))
        crew = Crew(case.fleet, pick)
        with sysbench.start() as load:
            while crew.left:
                # By what was applied, so that the kills spread over the whole run: four events in each transaction.
                before = case.applied() if case.begun() else 0
                goal = before + pick.randint(1, 4 * sizes.transactions // KILLS)
                until(
                    lambda goal=goal: not load.running or (case.begun() and case.applied() >= goal),
                    600,
                    f"{goal} applied",
                )
                crew.strike()
            load.finish()
        case.finish(900)


@pytest.mark.parametrize(
    ("kinds", "failpoint"),
    [
        (Kinds("mysql", "redis", "postgresql", "transaction"), "reader.published:kill@9"),
        (Kinds("mysql", "kafka", "mysql", "key"), "reader.read:kill@40"),
        (Kinds("mariadb", "redis", "postgresql", "transaction"), "sink.applied:kill@5"),
    ],
    ids=str,
)
def test_a_kill_inside_a_large_transaction_loses_no_row_and_doubles_none(
    kinds: Kinds, failpoint: str, request: pytest.FixtureRequest
) -> None:
    with chaos(request, kinds) as case:
        command = failpoint.partition(".")[0]
        _ = case.sink() if command == "reader" else case.reader()
        victim = case.doomed(command, failpoint)
        insert_at_once(case, LARGE_ROWS)
        until_killed(victim)
        case.fleet.start(command)
        case.finish(300)


def insert_at_once(case: Chaos, rows: int) -> None:
    """One transaction of so many rows."""
    with case.source.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS digits (d INT PRIMARY KEY)")
        cursor.execute("REPLACE INTO digits VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)")
        terms = " + ".join(f"{10**power} * d{power}.d" for power in range(6))
        joins = ", ".join(f"digits d{power}" for power in range(6))
        cursor.execute(
            f"INSERT INTO stock (sku, place, quantity) SELECT CONCAT('bulk', n), 77, n "
            f"FROM (SELECT {terms} AS n FROM {joins}) numbers WHERE n < {rows}"
        )


def until_killed(victim: Process, seconds: float = 120) -> None:
    until(lambda: not victim.running, seconds, lambda: f"the failpoint fires: {victim.text()[-3000:]}")
    assert victim.process.returncode == -signal.SIGKILL, victim.text()
