"""What a topic's replicas, settings and rights mean: those that one broker alone cannot show."""

import pytest

from cdc.queue.kafka_doctor import TopicFacts, judged, judged_own
from tests.support.doctor import about, not_fine, only

FINE = {"min.insync.replicas": "2", "retention.ms": "-1", "cleanup.policy": "delete", "max.message.bytes": "200"}


def facts(**changed: object) -> TopicFacts:
    known = {"name": "shop", "partitions": 2, "replicas": 3, "brokers": 3, "settings": FINE, "allowed": None}
    return TopicFacts(**{**known, **changed})  # type: ignore[arg-type]


def test_three_replicas_two_in_sync_are_fine() -> None:
    assert not_fine(judged(facts(), 2, 100), "queue") == []


@pytest.mark.parametrize(
    ("replicas", "brokers", "in_sync", "level", "words"),
    [
        (1, 3, "1", "warning", "gone with its broker"),
        (3, 3, "1", "warning", "what one broker alone confirmed"),
        (3, 3, "3", "warning", "whenever one broker is down"),
        (2, 3, "3", "error", "nothing can be written"),
    ],
)
def test_replicas(replicas: int, brokers: int, in_sync: str, level: str, words: str) -> None:
    topic = facts(replicas=replicas, brokers=brokers, settings={**FINE, "min.insync.replicas": in_sync})
    assert words in only(judged(topic, 2, 100), "replicas", level).text


def test_one_broker_alone_is_not_blamed_for_being_one() -> None:
    topic = facts(replicas=1, brokers=1, settings={**FINE, "min.insync.replicas": "1"})
    assert not_fine(judged(topic, 2, 100), "queue") == []


def test_rights_that_the_broker_tells() -> None:
    found = only(judged(facts(allowed=frozenset({"DESCRIBE", "READ"})), 2, 100), "rights", "error")
    assert "WRITE" in found.text
    assert "--operation Write --topic shop" in found.fix
    for enough in ({"DESCRIBE", "READ", "WRITE"}, {"ALL"}):
        assert about(judged(facts(allowed=frozenset(enough)), 2, 100), "rights", "ok")
    assert about(judged(facts(), 2, 100), "rights") == []


def test_checkpoints_and_schemas_are_compacted() -> None:
    assert not_fine(judged_own(facts(settings={**FINE, "cleanup.policy": "compact"})), "queue") == []
    only(judged_own(facts()), "cleanup.policy", "error")
    only(judged_own(facts(settings={**FINE, "cleanup.policy": "compact,delete"})), "cleanup.policy", "error")


def test_settings_that_are_not_told_are_no_faults() -> None:
    assert not_fine(judged(facts(settings={}), 2, 100), "queue") == []
