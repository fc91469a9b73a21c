"""What `cdc check` finds at a real Kafka. What takes several brokers to show is in tests/unit/test_kafka_doctor.py."""

from collections.abc import Mapping
from contextlib import closing

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from cdc.local import Server
from cdc.model.finding import Finding
from cdc.queue.kafka import KafkaQueue
from tests.support.doctor import about, not_fine, only
from tests.support.queues import connector

FOR_EVER = {"retention.ms": "-1", "retention.bytes": "-1", "max.message.bytes": str(2 * 64 * 1024 * 1024)}


@pytest.fixture
def admin(kafka: Server) -> AdminClient:
    if "tansu" in kafka.how:
        pytest.skip("Tansu tells no settings of topics")
    return AdminClient({"bootstrap.servers": kafka.url.removeprefix("kafka://")})


class Topic:
    """A queue on a topic that somebody made with settings of their own."""

    def __init__(self, kafka: Server, admin: AdminClient, partitions: int, settings: Mapping[str, str]) -> None:
        self.config = connector(kafka.url)
        wanted = NewTopic(self.config.name, num_partitions=partitions, replication_factor=1, config=dict(settings))
        admin.create_topics([wanted])[self.config.name].result(20)

    def findings(self) -> list[Finding]:
        with closing(KafkaQueue(self.config)) as queue:
            return list(queue.findings(1000))


def test_a_topic_that_keeps_everything_is_fine(kafka: Server, admin: AdminClient) -> None:
    found = Topic(kafka, admin, 3, FOR_EVER).findings()
    assert not_fine(found, "queue") == []
    assert "1 of them unused" in about(found, "partitions", "ok")[0].text
    assert about(found, "retention", "ok")
    assert about(found, "max.message.bytes", "ok")


@pytest.mark.parametrize(
    ("settings", "subject", "level", "words"),
    [
        ({"retention.ms": "3600000"}, "retention", "warning", "after 1 h"),
        ({"retention.bytes": "10485760"}, "retention", "warning", "beyond 10 MiB"),
        ({"cleanup.policy": "compact"}, "cleanup.policy", "error", "compacted"),
        ({"max.message.bytes": "20000"}, "max.message.bytes", "warning", "20000"),
        ({"min.insync.replicas": "2"}, "replicas", "error", "nothing can be written"),
    ],
)
def test_settings_of_a_topic(
    kafka: Server, admin: AdminClient, settings: Mapping[str, str], subject: str, level: str, words: str
) -> None:
    found = Topic(kafka, admin, 2, {**FOR_EVER, **settings}).findings()
    assert words in only(found, subject, level).text
    assert len(not_fine(found, "queue")) == 1


def test_fewer_partitions_than_lanes(kafka: Server, admin: AdminClient) -> None:
    assert (
        "1 partition(s), and 2 lanes" in only(Topic(kafka, admin, 1, FOR_EVER).findings(), "partitions", "error").text
    )


def test_topics_that_the_reader_makes_are_fine(kafka: Server) -> None:
    with closing(KafkaQueue(connector(kafka.url))) as queue:
        assert "made at the reader's start" in about(queue.findings(1000), "topic", "ok")[0].text
        producer = queue.producer()
        producer.open(1)
        producer.close()
        found = list(queue.findings(1000))
        assert not_fine(found, "queue") == []
        assert about(found, "partitions", "ok")
