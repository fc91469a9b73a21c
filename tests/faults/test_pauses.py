"""A process that was stopped for longer than its lease, and wakes, changes nothing: the sink at the target, the reader in the
queue. Seen from the target alone: triggers note which connection wrote."""

import time

import pytest

from tests.support.chaos import LEASE_SECONDS, Chaos, Kinds, Load, Witness, chaos
from tests.support.pipeline import Process
from tests.support.wait import until
from tests.support.zombies import all_higher, begin_with_tables, of, stopped

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

# Before the lease is looked at; after that and before the row is locked; inside the transaction; just before the commit.
PLACES = ("sink.received", "sink.begun", "sink.applied", "sink.progress")
PAUSE_SECONDS = 3 * LEASE_SECONDS
TAKEOVER_SECONDS = 4 * LEASE_SECONDS + 20


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    "kinds",
    [
        Kinds("mysql", "redis", "postgresql", "key"),
        Kinds("mysql", "kafka", "mysql", "key"),
        Kinds("mariadb", "kafka", "postgresql", "transaction"),
        Kinds("mariadb", "redis", "mariadb", "transaction"),
    ],
    ids=str,
)
def test_a_sink_stopped_for_three_leases_and_woken_writes_nothing(
    kinds: Kinds, place: str, request: pytest.FixtureRequest
) -> None:
    with chaos(request, kinds) as case:
        case.reader()
        witness = begin_with_tables(case)
        sleeper = case.doomed("sink", f"{place}:stop@8")
        with Load(case.work, pause_seconds=0.01):
            until(lambda: stopped(sleeper), 60, lambda: f"the stop at {place}: {sleeper.text()}")
            asleep = time.monotonic()
            tokens = case.tokens()
            old = set(witness.writers())
            heir = case.alone("sink")
            until(lambda: all_higher(tokens, case.tokens()), TAKEOVER_SECONDS, "every lane is taken over")
            until(lambda: writes_of_others(witness, old) > 20, 60, "the heir writes")
            before = of(witness, old)
            until(lambda: time.monotonic() - asleep > PAUSE_SECONDS, PAUSE_SECONDS + 5, "three lease times")
            sleeper.resume()
            until(lambda: says_so(sleeper), 60, lambda: f"the woken sink says that it stopped: {sleeper.text()}")
        case.until_equal()
        assert of(witness, old) == before
        heir_gone_sleeper_works(case, heir, sleeper)
        assert of(witness, old) == before
        case.finish()
        assert sleeper.end() == 0, sleeper.text()
        case.clean_logs()


@pytest.mark.parametrize(
    "kinds",
    [Kinds("mysql", "redis", "postgresql", "key"), Kinds("mysql", "kafka", "postgresql", "transaction")],
    ids=str,
)
def test_a_sink_stopped_at_a_random_moment_and_woken_writes_nothing(
    kinds: Kinds, request: pytest.FixtureRequest
) -> None:
    with chaos(request, kinds) as case:
        case.reader()
        witness = begin_with_tables(case)
        with Load(case.work, pause_seconds=0.01) as load:
            sleeper = case.sink()
            for _ in range(3):
                load.more(30)
                sleeper.pause()
                asleep = time.monotonic()
                tokens, old = case.tokens(), set(witness.writers())
                heir = case.sink()
                until(lambda tokens=tokens: all_higher(tokens, case.tokens()), TAKEOVER_SECONDS, "taken over")
                before = of(witness, old)
                until(lambda asleep=asleep: time.monotonic() - asleep > PAUSE_SECONDS, 60, "three lease times")
                sleeper.resume()
                load.more(30)
                assert of(witness, old) == before
                tokens = case.tokens()
                case.fleet.kill(heir)
                until(lambda tokens=tokens: any_higher(tokens, case.tokens()), 60, "the woken one takes lanes again")
        case.finish()


def test_an_idle_sink_that_wakes_behind_what_another_has_applied_and_trimmed_sees_no_gap(
    request: pytest.FixtureRequest,
) -> None:
    with chaos(request, Kinds("mysql", "redis", "postgresql")) as case:
        case.reader()
        sleeper = case.sink()
        case.until_equal()
        sleeper.pause()
        tokens = case.tokens()
        heir = case.alone("sink")
        until(lambda: all_higher(tokens, case.tokens()), TAKEOVER_SECONDS, "every lane is taken over")
        case.work.transactions(200)
        case.until_equal()
        assert heir.end() == 0, heir.text()  # its last acks are told, and the lanes trimmed
        sleeper.resume()
        until(lambda: says_so(sleeper), 60, lambda: f"the woken sink says that it stopped: {sleeper.text()}")
        case.work.transactions(20)
        case.finish()


@pytest.mark.parametrize(
    "kinds",
    [
        Kinds("mysql", "redis", "postgresql", "key"),
        Kinds("mariadb", "kafka", "mariadb", "key"),
        Kinds("mysql", "kafka", "postgresql", "transaction"),
    ],
    ids=str,
)
@pytest.mark.parametrize("place", ["reader.read", "reader.publish", "reader.published"])
def test_a_reader_stopped_for_three_leases_and_woken_has_no_effect(
    kinds: Kinds, place: str, request: pytest.FixtureRequest
) -> None:
    with chaos(request, kinds) as case:
        case.sink()
        sleeper = case.doomed("reader", f"{place}:stop@15")
        with Load(case.work, pause_seconds=0.01) as load:
            until(lambda: stopped(sleeper), 60, lambda: f"the stop at {place}: {sleeper.text()}")
            asleep = time.monotonic()
            until(lambda: case.begun() and case.tokens(), 60, "a lane is taken")
            tokens = case.tokens()
            standby = case.alone("reader")
            until(lambda: reader_tokens_higher(tokens, case.tokens()), TAKEOVER_SECONDS, "the standby reads")
            until(lambda: time.monotonic() - asleep > PAUSE_SECONDS, PAUSE_SECONDS + 5, "three lease times")
            sleeper.resume()
            until(lambda: "reader.retry" in sleeper.text(), 60, lambda: f"the woken reader stops: {sleeper.text()}")
            load.more(50)
        case.until_equal()
        # The woken one stands by, and works again when the other leaves.
        assert standby.end() == 0, standby.text()
        case.work.transactions(20)
        case.finish()
        assert sleeper.end() == 0, sleeper.text()
        case.clean_logs()


@pytest.mark.parametrize("queue", ["redis", "kafka"])
def test_of_two_readers_one_works_and_one_waits(queue: str, request: pytest.FixtureRequest) -> None:
    with chaos(request, Kinds("mysql", queue, "postgresql")) as case:
        first = case.reader()
        case.fleet.wait_for("reader.started", first)
        second = case.reader()
        case.fleet.wait_for("lease.standby", second)
        case.sink()
        with Load(case.work) as load:
            load.more(100)
            assert "reader.started" not in second.text()
            case.fleet.kill(first)
            case.fleet.wait_for("reader.started", second)
            load.more(50)
        case.finish()


def any_higher(before: dict[str, tuple[int, int]], now: dict[str, tuple[int, int]]) -> bool:
    return any(now[lane][0] > token for lane, (token, _) in before.items())


def reader_tokens_higher(before: dict[str, tuple[int, int]], now: dict[str, tuple[int, int]]) -> bool:
    return all(now[lane][1] > token for lane, (_, token) in before.items())


def writes_of_others(witness: Witness, connections: set[int]) -> int:
    return sum(count for connection, count in witness.writers().items() if connection not in connections)


def says_so(sleeper: Process) -> bool:
    assert sleeper.process.poll() in {None, 1}, sleeper.process.returncode
    return "lane.retry" in sleeper.text()


def heir_gone_sleeper_works(case: Chaos, heir: Process, sleeper: Process) -> None:
    """The woken sink waits for lanes, and takes them with new tokens when the other leaves."""
    assert heir.end() == 0, heir.text()
    case.work.transactions(20)
    case.until_equal()
    assert sleeper.running, sleeper.text()
