"""Entry ids, lanes and topics, the registry, and the settings of Kafka clients: no server is asked."""

import builtins
import importlib
import sys
from typing import Any

import pytest

from cdc.model.change import Message
from cdc.model.checkpoint import Checkpoint, LaneCount, SourcePoint
from cdc.model.errors import Gap, MissingExtra, QueueRefused
from cdc.model.position import ORIGIN, Sequence
from cdc.queue.entry_id import BEGINNING, EntryId, check_follows, check_not_trimmed
from cdc.queue.kafka_client import MEANINGS, OURS, Ear, settings
from cdc.queue.layout import default_topic, known_lanes, partition_of
from cdc.queue.redis_parts import parts as call_parts
from cdc.queue.redis_parts import split
from cdc.queue.registry import ADAPTERS, open_queue
from tests.support.queues import MB, checkpoint, connector, messages


@pytest.mark.parametrize(
    ("previous", "entry", "follows"),
    [
        ((0, 0), (1, 1), True),
        ((0, 0), (7, 1), True),
        ((0, 0), (7, 2), False),
        ((3, 9), (3, 10), True),
        ((3, 9), (3, 11), False),
        ((3, 9), (3, 9), False),
        ((3, 9), (4, 1), True),
        ((3, 9), (4, 2), False),
        ((3, 9), (2, 1), False),
    ],
)
def test_nothing_lies_between_an_entry_and_the_next_of_its_run_or_the_first_of_a_later_one(
    previous: tuple[int, int], entry: tuple[int, int], follows: bool
) -> None:
    assert EntryId(*entry).follows(EntryId(*previous)) is follows
    if follows:
        check_follows("0", EntryId(*previous), EntryId(*entry))
    else:
        with pytest.raises(Gap, match="lane 0"):
            check_follows("0", EntryId(*previous), EntryId(*entry))


def test_an_offset_reads_back_as_it_was_written() -> None:
    assert EntryId.parse("0", str(EntryId(12, 345))) == EntryId(12, 345)
    assert EntryId.parse("0", "") == BEGINNING


@pytest.mark.parametrize("text", ["57", "a-1", "1-", "-1", "1-2-3", "1-b"])
def test_an_offset_of_another_kind_is_a_gap(text: str) -> None:
    with pytest.raises(Gap, match="another kind of queue"):
        EntryId.parse("3", text)


def test_a_lane_trimmed_beyond_the_offset_is_a_gap() -> None:
    check_not_trimmed("0", EntryId(1, 5), EntryId(1, 5))
    with pytest.raises(Gap, match="trimmed up to 2-1"):
        check_not_trimmed("0", EntryId(1, 5), EntryId(2, 1))


def test_lanes_are_the_layout_s_and_the_checkpoint_s_each_once() -> None:
    config = connector("memory://", lanes=2)
    assert known_lanes(config, None) == ["0", "1"]
    assert known_lanes(config, checkpoint(1, lane_1=1, lane_5=2)) == ["0", "1", "5"]


def test_a_lane_lies_in_its_topic_s_partition() -> None:
    config = connector("kafka://h", name="shop")
    assert partition_of(config, "3") == ("shop", 3)
    assert partition_of(connector("kafka://h", name="shop", topic="cdc.{name}"), "3") == ("cdc.shop", 3)
    by_table = connector("kafka://h", name="shop", topic="{name}.{db}.{table}")
    assert partition_of(by_table, "shop.a.orders/2") == ("shop.a.orders", 2)
    assert default_topic(by_table) == "shop"
    assert known_lanes(by_table, None) == []


@pytest.mark.parametrize("topic", ["a b", "ä", "x" * 250, "..", "", "shop.checkpoint", "shop.schemas"])
def test_a_topic_that_kafka_would_not_take_or_that_is_our_own_is_refused(topic: str) -> None:
    config = connector("kafka://h", name="shop", topic="{table}")
    with pytest.raises(QueueRefused):
        partition_of(config, f"{topic}/0")


def test_a_publish_is_split_by_bytes_and_by_count_and_keeps_its_order() -> None:
    batch = [*messages(3, size=MB), *messages(1, first=4, size=9 * MB), *messages(2, first=5, size=MB)]
    parts = [list(part) for part in split(batch)]
    assert [len(part) for part in parts] == [3, 1, 2]
    assert [message for part in parts for message in part] == batch
    assert [len(part) for part in split(messages(11_001))] == [5000, 5000, 1001]
    assert [part.counts for part in call_parts(messages(11_001), whole=True)] == [{"0": 11_001}]
    assert list(split([])) == [[]]
    assert list(split([Message("0", None, b"x")])) == [[Message("0", None, b"x")]]


def test_every_adapter_can_be_imported_under_the_name_in_the_registry() -> None:
    for path, _ in ADAPTERS.values():
        module, _, name = path.partition(":")
        assert callable(getattr(importlib.import_module(module), name))


def test_a_driver_that_is_not_installed_is_named_with_the_line_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = builtins.__import__

    def without_kafka(name: str, *rest: Any, **named: Any) -> Any:
        if name.split(".", maxsplit=1)[0] == "confluent_kafka":
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)
        return real(name, *rest, **named)

    for module in [name for name in sys.modules if name.startswith("cdc.queue.kafka")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setattr(builtins, "__import__", without_kafka)
    with pytest.raises(MissingExtra, match="confluent_kafka") as caught:
        open_queue(connector("kafka://127.0.0.1:9092"))
    assert caught.value.hint == "pip install 'lockstep-cdc[kafka]'"


def _settings(url: str, **queue: Any) -> dict[str, Any]:
    return settings(connector(url, **queue), Ear(), {"acks": "all"}, {"linger.ms": 5})


def test_a_url_names_brokers_user_and_encryption() -> None:
    plain = _settings("kafka://a,b:9093")
    assert plain["bootstrap.servers"] == "a:9092,b:9093"
    assert plain["security.protocol"] == "PLAINTEXT"
    safe = _settings("kafka+ssl://me:p%40ss@a:9094")
    assert safe["security.protocol"] == "SASL_SSL"
    assert (safe["sasl.username"], safe["sasl.password"]) == ("me", "p@ss")
    assert safe["enable.ssl.certificate.verification"] is True
    assert safe["ssl.endpoint.identification.algorithm"] == "https"


def test_tls_settings_reach_the_client() -> None:
    own = _settings("kafka://a", tls={"mode": "verify-ca", "ca": "/ca.pem", "cert": "/c.pem", "key": "/k.pem"})
    assert own["security.protocol"] == "SSL"
    assert own["ssl.endpoint.identification.algorithm"] == "none"
    files = ("ssl.ca.location", "ssl.certificate.location", "ssl.key.location")
    assert [own[name] for name in files] == ["/ca.pem", "/c.pem", "/k.pem"]
    with pytest.raises(QueueRefused, match="disabled"):
        _settings("kafka+ssl://a", tls={"mode": "disabled"})


def test_properties_may_tune_but_not_weaken() -> None:
    tuned = _settings("kafka://a", properties={"linger.ms": "50", "sasl.mechanisms": "SCRAM-SHA-512"})
    assert tuned["linger.ms"] == "50"
    for name in OURS:
        with pytest.raises(QueueRefused, match=name):
            _settings("kafka://a", properties={name: "1"})


def test_no_code_of_librdkafka_is_both_a_gap_and_something_else() -> None:
    assert {code for code, kind in MEANINGS.items() if kind == "gap"}.isdisjoint(
        {code for code, kind in MEANINGS.items() if kind != "gap"}
    )


def test_a_checkpoint_is_stored_as_json_and_read_back() -> None:
    point = SourcePoint("server-1", "mysql-bin.000001", 2**40, "uuid:1-5", 7)
    lanes = {"0": LaneCount(3), "1": LaneCount(4, Sequence(1, 2, 3, 4))}
    stored = Checkpoint(2, point, 9, "f", Sequence(2, 1, 0, 0), lanes, ("a.b",), ORIGIN, (1, {"0": 8}))
    assert stored.to_json() == (
        b'{"generation":2,"point":{"source_id":"server-1","file":"mysql-bin.000001","offset":1099511627776,'
        b'"gtid_set":"uuid:1-5","file_created":7},"token":9,"fingerprint":"f","after":[2,1,0,0],'
        b'"lanes":{"0":{"count":3,"after":[0,0,0,0]},"1":{"count":4,"after":[1,2,3,4]}},"by_table":["a.b"],'
        b'"replay_until":[0,0,0,0],"previous":[1,{"0":8}],'
        b'"copies":{"step":0,"paused":false,"tables":[],"done":[],"given_up":[],"requests":[]}}'
    )
    assert Checkpoint.from_json(stored.to_json()) == stored
