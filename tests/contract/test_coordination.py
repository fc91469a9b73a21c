"""What every implementation of cdc.coordination.port does: in memory, on one Redis, on a Redis Cluster."""

import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
import redis

from cdc.coordination.memory import MemoryCoordination
from cdc.coordination.port import Coordination, Lease
from cdc.coordination.registry import IMPLEMENTATIONS, open_coordination
from cdc.local import Server
from cdc.model.config import CoordinationConfig, Url
from tests.support.own_redis import start_cluster_node
from tests.support.wait import until

LONG = 30.0
SHORT = 0.5


class Place:
    """Somewhere to coordinate: one connector's name on one server."""

    def __init__(self, url: str, forget: Callable[[], None] | None = None) -> None:
        self.connector = f"c{secrets.token_hex(4)}"
        self.url = url
        self._forget = forget
        self._opened: list[Coordination] = []

    def open(self, connector: str = "") -> Coordination:
        one = open_coordination(connector or self.connector, CoordinationConfig(url=Url(self.url)))
        self._opened.append(one)
        return one

    def forget(self) -> None:
        """Loses all that is stored, as FLUSHALL does."""
        if self._forget:
            self._forget()
        else:
            MemoryCoordination(self.connector).forget()

    def close(self) -> None:
        for one in self._opened:
            one.close()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Redis Cluster of one node that has all slots."""
    server = start_cluster_node(tmp_path_factory.mktemp("cluster") / "redis")
    try:
        with redis.Redis.from_url(server.url) as client:
            client.execute_command("CLUSTER ADDSLOTS", *range(16384))
            until(lambda: b"cluster_state:ok" in _cluster_info(client), 20, "the cluster is up")
        yield server
    finally:
        server.remove()


def _cluster_info(client: redis.Redis) -> bytes:
    connection = client.connection_pool.get_connection()
    try:
        connection.send_command("CLUSTER", "INFO")
        answer = connection.read_response()
        assert isinstance(answer, bytes)
        return answer
    finally:
        client.connection_pool.release(connection)


@pytest.fixture(params=["memory", "redis", "cluster"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    if request.param == "memory":
        place = Place("memory://")
    elif request.param == "redis":
        url = request.getfixturevalue("redis_url")
        place = Place(url, lambda: _flush(url, "FLUSHDB"))
    else:
        server: Server = request.getfixturevalue("cluster")
        url = f"redis+cluster://{urlsplit(server.url).netloc}"
        place = Place(url, lambda: _flush(server.url, "FLUSHALL"))
    yield place
    place.close()


def _flush(url: str, command: str) -> None:
    with redis.Redis.from_url(url) as client:
        client.execute_command(command)


@pytest.fixture
def coordination(place: Place) -> Coordination:
    return place.open()


def taken(lease: Lease | None) -> Lease:
    assert lease is not None
    return lease


def test_the_registry_knows_every_scheme_that_a_connector_file_may_name() -> None:
    described = CoordinationConfig.model_json_schema()["properties"]["url"]["description"]
    assert set(re.findall(r"([a-z+]+)://", described)) <= set(IMPLEMENTATIONS)
    for scheme in IMPLEMENTATIONS:
        assert CoordinationConfig(url=Url(f"{scheme}://127.0.0.1")).url.scheme == scheme


# --- leases


def test_each_lease_granted_has_a_higher_token(coordination: Coordination) -> None:
    tokens = []
    for owner in ("a", "b", "a", "c"):
        lease = taken(coordination.acquire("reader", owner, LONG))
        tokens.append(lease.token)
        coordination.release(lease)
    assert tokens == sorted(set(tokens))


def test_a_lease_has_one_holder(place: Place) -> None:
    first, second = place.open(), place.open()
    lease = taken(first.acquire("sink/0", "a", LONG))
    assert second.acquire("sink/0", "b", LONG) is None
    assert (lease.resource, lease.owner) == ("sink/0", "a")
    assert second.holders()["sink/0"].owner == "a"


def test_resources_and_connectors_are_apart(place: Place) -> None:
    one, other = place.open(), place.open(f"{place.connector}-2")
    taken(one.acquire("sink/0", "a", LONG))
    taken(one.acquire("sink/1", "b", LONG))
    taken(other.acquire("sink/0", "c", LONG))
    assert {name: holder.owner for name, holder in one.holders().items()} == {"sink/0": "a", "sink/1": "b"}
    assert {name: holder.owner for name, holder in other.holders().items()} == {"sink/0": "c"}


def test_an_owner_who_asks_again_gets_the_same_token(coordination: Coordination) -> None:
    first = taken(coordination.acquire("reader", "a", LONG))
    again = taken(coordination.acquire("reader", "a", LONG, floor=first.token - 1))
    assert again.token == first.token
    assert again.deadline >= first.deadline


def test_an_owner_whose_token_is_not_above_the_floor_gets_a_new_one(coordination: Coordination) -> None:
    first = taken(coordination.acquire("reader", "a", LONG))
    again = taken(coordination.acquire("reader", "a", LONG, floor=first.token))
    assert again.token > first.token
    assert coordination.renew(first, LONG) is None
    assert coordination.holders()["reader"].token == again.token


@pytest.mark.parametrize("floor", [41, 10**15 + 1])
def test_a_token_is_above_the_floor_and_stays_there(coordination: Coordination, floor: int) -> None:
    lease = taken(coordination.acquire("reader", "a", LONG, floor=floor))
    assert lease.token == floor + 1
    assert coordination.holders()["reader"].token == floor + 1
    assert taken(coordination.renew(lease, LONG)).token == floor + 1
    coordination.release(lease)
    assert taken(coordination.acquire("reader", "b", LONG, floor=3)).token == floor + 2


def test_a_lease_that_nobody_renews_is_free_after_its_time_and_not_before(coordination: Coordination) -> None:
    lease = taken(coordination.acquire("reader", "a", SHORT))
    next_one = until(lambda: coordination.acquire("reader", "b", LONG), 5, "b takes the reader's lease")
    assert time.monotonic() >= lease.deadline
    assert next_one is not None
    assert next_one.token > lease.token


def test_the_deadline_counts_from_before_the_question(coordination: Coordination) -> None:
    before = time.monotonic()
    lease = taken(coordination.acquire("reader", "a", LONG))
    after = time.monotonic()
    assert before <= lease.deadline - LONG <= after
    renewed = taken(coordination.renew(lease, LONG))
    assert after <= renewed.deadline - LONG <= time.monotonic()


def test_a_renewed_lease_is_held_on(coordination: Coordination) -> None:
    lease = taken(coordination.acquire("reader", "a", SHORT))
    assert taken(coordination.renew(lease, LONG)).token == lease.token
    until(lambda: time.monotonic() > lease.deadline + 0.1, 5, "the first time is over")
    assert coordination.acquire("reader", "b", LONG) is None
    assert coordination.holders()["reader"].expires_in_seconds == pytest.approx(LONG, abs=5)


def test_renewing_a_lease_that_ran_out_acquires_nothing(coordination: Coordination) -> None:
    lease = taken(coordination.acquire("reader", "a", SHORT))
    until(lambda: "reader" not in coordination.holders(), 5, "the lease runs out")
    assert coordination.renew(lease, LONG) is None
    assert "reader" not in coordination.holders()


def test_renewing_a_lease_that_another_holds_changes_nothing(coordination: Coordination) -> None:
    lost = taken(coordination.acquire("reader", "a", LONG))
    coordination.release(lost)
    lease = taken(coordination.acquire("reader", "b", LONG))
    assert coordination.renew(lost, 10 * LONG) is None
    holder = coordination.holders()["reader"]
    assert (holder.owner, holder.token) == ("b", lease.token)
    assert holder.expires_in_seconds <= LONG


@pytest.mark.parametrize(
    "stranger", [Lease("reader", "b", 1, 0.0), Lease("reader", "a", 2, 0.0), Lease("reader", "a", 0, 0.0)]
)
def test_release_by_a_stranger_does_nothing(coordination: Coordination, stranger: Lease) -> None:
    lease = taken(coordination.acquire("reader", "a", LONG))
    assert lease.token == 1
    coordination.release(stranger)
    assert coordination.holders()["reader"].owner == "a"


def test_release_frees_at_once_and_may_be_repeated(coordination: Coordination) -> None:
    lease = taken(coordination.acquire("reader", "a", LONG))
    coordination.release(lease)
    coordination.release(lease)
    assert coordination.holders() == {}
    taken(coordination.acquire("reader", "b", LONG))
    coordination.release(lease)
    assert coordination.holders()["reader"].owner == "b"


@pytest.mark.parametrize("owner", ["host 1:77 {x}", "zeile\nzwei", "ümläut-🦊", "1 2 3", "%s'\"\\"])
def test_any_name_can_own_a_lease(coordination: Coordination, owner: str) -> None:
    lease = taken(coordination.acquire("shop.orders/2", owner, LONG))
    assert coordination.holders()["shop.orders/2"].owner == owner
    assert coordination.renew(lease, LONG) is not None
    coordination.release(lease)
    assert coordination.holders() == {}


def test_tokens_grow_over_a_loss_of_everything(place: Place) -> None:
    coordination = place.open()
    lease = taken(coordination.acquire("reader", "a", LONG))
    for _ in range(4):
        coordination.release(lease)
        lease = taken(coordination.acquire("reader", "a", LONG))
    place.forget()
    assert coordination.renew(lease, LONG) is None
    assert taken(coordination.acquire("reader", "b", LONG, floor=lease.token)).token > lease.token


def test_a_token_that_was_given_twice_does_not_make_two_holders(place: Place) -> None:
    """After a loss, and without a floor, the counter begins again: the owner tells the two apart."""
    coordination = place.open()
    lost = taken(coordination.acquire("reader", "a", LONG))
    place.forget()
    lease = taken(coordination.acquire("reader", "b", LONG))
    assert lease.token == lost.token
    assert coordination.renew(lost, LONG) is None
    coordination.release(lost)
    assert coordination.holders()["reader"].owner == "b"


def test_threads_never_hold_a_lease_together(place: Place) -> None:
    """Eight owners, each with a connection of its own, take and release as fast as they can."""
    together, most, tokens = 0, 0, []
    errors: list[BaseException] = []
    count = threading.Lock()
    ready = threading.Barrier(8)

    def work(owner: str) -> None:
        nonlocal together, most
        try:
            coordination = place.open()
            ready.wait()
            for turn in range(40):
                lease = coordination.acquire("reader", f"{owner}-{turn}", LONG)
                if lease is None:
                    continue
                with count:
                    together += 1
                    most = max(most, together)
                    tokens.append(lease.token)
                assert coordination.renew(lease, LONG) is not None
                with count:
                    together -= 1
                coordination.release(lease)
        except BaseException as error:
            errors.append(error)
            raise

    threads = [threading.Thread(target=work, args=(f"t{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert most == 1
    # In the order in which they were granted: each was noted while its lease was held.
    assert tokens == sorted(set(tokens))


# --- handover, members, marks


def test_the_holder_sees_that_it_is_asked_to_hand_over(place: Place) -> None:
    holder, asker = place.open(), place.open()
    taken(holder.acquire("reader", "a", LONG))
    assert not holder.handover_asked("reader")
    asker.ask_handover("reader", LONG)
    assert holder.handover_asked("reader")
    assert not holder.handover_asked("sink/0")
    # It asks again after a lost answer: still the one who was asked.
    taken(holder.acquire("reader", "a", LONG))
    assert holder.handover_asked("reader")


def test_a_new_holder_was_not_asked_to_hand_over(coordination: Coordination) -> None:
    lease = taken(coordination.acquire("reader", "a", LONG))
    coordination.ask_handover("reader", LONG)
    coordination.release(lease)
    taken(coordination.acquire("reader", "b", LONG))
    assert not coordination.handover_asked("reader")


def test_asking_for_a_handover_is_forgotten_after_its_time(coordination: Coordination) -> None:
    coordination.ask_handover("reader", SHORT)
    until(lambda: not coordination.handover_asked("reader"), 5, "it is forgotten")


def test_members_see_each_other(place: Place) -> None:
    first, second = place.open(), place.open()
    assert set(first.join("sink", "a", LONG)) == {"a"}
    assert set(second.join("sink", "b", 2 * LONG)) == {"a", "b"}
    living = first.join("sink", "a", LONG)
    assert living["a"] == pytest.approx(LONG, abs=5)
    assert living["b"] == pytest.approx(2 * LONG, abs=5)
    assert set(second.join("other", "c", LONG)) == {"c"}


def test_a_member_that_says_nothing_is_gone_after_its_time(coordination: Coordination) -> None:
    coordination.join("sink", "dies", SHORT)
    assert set(coordination.join("sink", "lives", LONG)) == {"dies", "lives"}
    until(lambda: set(coordination.join("sink", "lives", LONG)) == {"lives"}, 5, "the silent member is gone")


def test_a_member_that_leaves_is_gone_at_once(coordination: Coordination) -> None:
    coordination.join("sink", "a", LONG)
    coordination.join("sink", "b", LONG)
    coordination.leave("sink", "a")
    coordination.leave("sink", "a")
    assert set(coordination.join("sink", "b", LONG)) == {"b"}


def test_a_group_without_members_is_no_error(coordination: Coordination) -> None:
    coordination.leave("sink", "nobody")
    assert set(coordination.join("sink", "a", LONG)) == {"a"}


def test_marks_are_merged(place: Place) -> None:
    first, second = place.open(), place.open()
    assert first.marks() == {}
    first.mark({})
    first.mark({"sink/0": "{}", "sink/1": "ü"})
    second.mark({"sink/1": "2"})
    assert first.marks() == {"sink/0": "{}", "sink/1": "2"}


def test_a_request_stands_until_it_is_answered(place: Place) -> None:
    asker, reader = place.open(), place.open()
    assert reader.asked() == {}
    assert asker.answered("r1") is None
    asker.ask("r1", "do ü")
    asker.ask("r2", "do that")
    assert reader.asked() == {"r1": "do ü", "r2": "do that"}
    reader.answer("r1", "done ü")
    reader.answer("r1", "done ü")
    assert reader.asked() == {"r2": "do that"}
    assert asker.answered("r1") == "done ü"
    assert asker.answered("r2") is None


def test_check_says_what_it_found(coordination: Coordination) -> None:
    lines = coordination.check()
    assert lines
    assert all(line.isprintable() for line in lines)


def test_findings_of_a_fit_one_are_no_faults(coordination: Coordination) -> None:
    found = coordination.findings()
    assert found
    assert {one.level for one in found} == {"ok"}
    assert all(one.text.isprintable() for one in found)
    assert coordination.holders() == {}
