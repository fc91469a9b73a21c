"""What all of our Kafka clients share: librdkafka's settings from a connector, and the meaning of its errors.

Settings: https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md
"""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Literal

from confluent_kafka import KafkaError, KafkaException

from cdc.connect.redis import hosts
from cdc.model.config import ConnectorConfig, Tls
from cdc.model.errors import CdcError, Fenced, Gap, QueueRefused, QueueUnavailable
from cdc.queue.breakage import too_large

ANSWER_SECONDS: Final = 5.0
"""How long a broker may take for one answer before the queue counts as unavailable."""

CONFIRM_SECONDS: Final = 10.0
"""How long no message may be confirmed while some are out, likewise: with acks=all all replicas in sync must have them."""

BATCH_OVERHEAD_BYTES: Final = 64 * 1024
"""What the record batch adds to a value: key, headers, framing."""

OURS: Final = frozenset(
    (
        "acks",
        "auto.commit.enable",
        "auto.offset.reset",
        "bootstrap.servers",
        "delivery.report.only.error",
        "delivery.timeout.ms",
        "enable.auto.commit",
        "enable.auto.offset.store",
        "enable.gapless.guarantee",
        "enable.idempotence",
        "enable.partition.eof",
        "group.id",
        "isolation.level",
        "message.max.bytes",
        "message.send.max.retries",
        "message.timeout.ms",
        "request.required.acks",
        "retries",
        "transactional.id",
    )
)
"""On these the guarantees rest: queue.properties cannot change them."""

_LOG: Final = logging.getLogger("cdc.queue.kafka")

_Meaning = Literal["unavailable", "refused", "fenced", "too_large", "gap", "missing"]

MEANINGS: Final[dict[int, _Meaning]] = {
    KafkaError._FENCED: "fenced",
    KafkaError.INVALID_PRODUCER_EPOCH: "fenced",
    KafkaError.PRODUCER_FENCED: "fenced",
    KafkaError.TRANSACTION_COORDINATOR_FENCED: "fenced",
    KafkaError.MSG_SIZE_TOO_LARGE: "too_large",
    KafkaError.RECORD_LIST_TOO_LARGE: "too_large",
    KafkaError._AUTO_OFFSET_RESET: "gap",
    KafkaError.OFFSET_OUT_OF_RANGE: "gap",
    KafkaError._LOG_TRUNCATION: "gap",
    KafkaError.UNKNOWN_TOPIC_OR_PART: "missing",
    KafkaError._UNKNOWN_TOPIC: "missing",
    KafkaError._UNKNOWN_PARTITION: "missing",
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "refused",
    KafkaError.GROUP_AUTHORIZATION_FAILED: "refused",
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: "refused",
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: "refused",
    KafkaError.SASL_AUTHENTICATION_FAILED: "refused",
    KafkaError.UNSUPPORTED_SASL_MECHANISM: "refused",
    KafkaError.ILLEGAL_SASL_STATE: "refused",
    KafkaError.SECURITY_DISABLED: "refused",
    KafkaError.INVALID_CONFIG: "refused",
    KafkaError.INVALID_PARTITIONS: "refused",
    KafkaError.INVALID_REPLICATION_FACTOR: "refused",
    KafkaError.INVALID_TRANSACTION_TIMEOUT: "refused",
    KafkaError.POLICY_VIOLATION: "refused",
    KafkaError.TOPIC_EXCEPTION: "refused",
    KafkaError.UNSUPPORTED_VERSION: "refused",
    KafkaError._AUTHENTICATION: "refused",
    KafkaError._SSL: "refused",
    KafkaError._INVALID_ARG: "refused",
    KafkaError._UNSUPPORTED_FEATURE: "refused",
}
"""librdkafka's codes; one that is not here may be over with a new client: "unavailable". ("missing": a topic or partition.)"""


def meaning(error: KafkaError) -> _Meaning:
    return MEANINGS.get(error.code(), "unavailable")


_REQUEST: Final = re.compile(r"ProduceRequest for (?P<topic>\S+) \[(?P<partition>\d+)\] ")


def behind(error: KafkaError) -> tuple[KafkaError, str]:
    """The reason for a fatal error that ends a gapless producer, and the lane, where it has them: librdkafka tells both in
    words only. Its own descriptions of errors tell which one it is."""
    if error.code() != KafkaError._GAPLESS_GUARANTEE:
        return error, ""
    found = _REQUEST.search(error.str())
    lane = f"{found['topic']}/{found['partition']}" if found else ""
    code = next((code for code in MEANINGS if KafkaError(code).str() in error.str()), error.code())
    return KafkaError(code, error.str()), lane


class Ear:
    """Hears what librdkafka says outside of any call. A wrong password shows in a call only as time that is up."""

    def __init__(self) -> None:
        self.heard: KafkaError | None = None

    def __call__(self, error: KafkaError) -> None:
        # That all brokers are down is said once; each further attempt to reach one only says that it failed.
        if not self.down:
            self.heard = error

    @property
    def down(self) -> bool:
        """Whether no broker can be reached."""
        return self.heard is not None and (
            meaning(self.heard) == "refused" or self.heard.code() == KafkaError._ALL_BROKERS_DOWN
        )


def settings(config: ConnectorConfig, ear: Ear, fixed: dict[str, Any], tunable: dict[str, Any]) -> dict[str, Any]:
    """A client's configuration. `tunable` gives way to queue.properties, `fixed` does not."""
    url, properties = config.queue.url, config.queue.properties
    if clash := sorted(OURS & properties.keys()):
        raise QueueRefused(
            f"queue.properties sets {', '.join(clash)}, on which the guarantees rest", hint="leave it out"
        )
    return {
        "client.id": f"lockstep-{config.name}",
        "socket.keepalive.enable": True,
        "reconnect.backoff.max.ms": 2000,
        # Errors; what is said of our own choice of settings, and of every reconnect, is noise.
        "log_level": 3,
        **_security(config),
        **tunable,
        **properties,
        **fixed,
        "bootstrap.servers": ",".join(f"{_bracketed(host)}:{port}" for host, port in hosts(url, 9092)),
        "logger": _LOG,
        "error_cb": ear,
    }


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _security(config: ConnectorConfig) -> dict[str, Any]:
    url, tls = config.queue.url, config.queue.tls
    if url.scheme == "kafka+ssl" and tls is None:
        tls = Tls(mode="verify-full", ca=None, cert=None, key=None)
    encrypted = tls is not None and tls.mode != "disabled"
    if url.scheme == "kafka+ssl" and not encrypted:
        raise QueueRefused(f"{url} asks for TLS, and tls.mode is disabled", hint="write kafka://, or drop tls.mode")
    protocol = ("SASL_" if url.user else "") + ("SSL" if encrypted else "PLAINTEXT")
    chosen: dict[str, Any] = {"security.protocol": protocol}
    if url.user:
        chosen |= {"sasl.mechanisms": "PLAIN", "sasl.username": url.user, "sasl.password": url.password}
    if encrypted and tls is not None:
        chosen |= {
            "enable.ssl.certificate.verification": tls.mode != "required",
            "ssl.endpoint.identification.algorithm": "https" if tls.mode == "verify-full" else "none",
        }
        files = {"ssl.ca.location": tls.ca, "ssl.certificate.location": tls.cert, "ssl.key.location": tls.key}
        chosen |= {key: value for key, value in files.items() if value}
    return chosen


def explained(
    config: ConnectorConfig, error: KafkaError, ear: Ear, *, what: str, lane: str = "", size: int = 0
) -> CdcError:
    """Our error for librdkafka's. `what` was being done, as a noun; `lane` and `size` name a message."""
    if meaning(error) == "unavailable" and ear.heard is not None and meaning(ear.heard) == "refused":
        error = ear.heard
    said = f"Kafka at {config.queue.url}, {what}: {error.str()} ({error.name()})"
    match meaning(error):
        case "refused":
            return QueueRefused(said, hint="look at user, password, TLS, rights, and queue.properties")
        case "fenced":
            return Fenced(said, hint="another reader has taken over; this one may stand by for the lease")
        case "too_large":
            return too_large(lane, size, "more than max.message.bytes of its topic")
        case "gap":
            return Gap(said, hint="run `cdc replay FILE --from POSITION`")
        case _:
            return QueueUnavailable(said, hint="it is tried again; look whether the brokers run")


@contextmanager
def asking(config: ConnectorConfig, ear: Ear, what: str) -> Iterator[None]:
    """Around a call of the driver."""
    try:
        yield
    except KafkaException as error:
        raise explained(config, error.args[0], ear, what=what) from error
