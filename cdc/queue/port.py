"""What the pipeline asks of a queue. Every adapter and the in-memory twin pass tests/contract/test_queue.py.

A lane is a name: `0` … `lanes-1`, or, where a topic template makes topics for tables, `topic/partition`.
Delivery is at least once and in order within a lane; what makes the effect exactly once is at the sink.
"""

from collections.abc import Sequence
from typing import Protocol

from cdc.model.change import Message, Received
from cdc.model.checkpoint import Checkpoint
from cdc.model.finding import Finding
from cdc.model.schema import TableSchema
from cdc.model.table_version import TableVersion

__all__ = ["LaneReader", "Producer", "Queue", "Received"]


class Producer(Protocol):
    """One reader's way into the queue, for one run. It works only inside calls: it has no thread of its own that would move
    a checkpoint later. Not thread-safe.

    Errors: QueueUnavailable (again, with a new Producer and a higher token, from the checkpoint that its `open` returns),
    Fenced (a higher token has been here: stop), QueueRefused (stop; names the limit where a message is too large).
    After an error the producer is broken: it sends nothing more, and every later call but `close` raises that error."""

    def open(self, token: int) -> Checkpoint | None:
        """Called once, first. From its return on, no producer with a lower token changes what `open` of any later producer
        or a consumer sees as the truth: Redis Streams refuse it, Kafka leaves it to the sinks (rule of the epoch marker; with
        `exactly_once` the older producer is fenced by its transactional id). Returns the stored checkpoint with the highest
        token, or None where there is none. Raises Fenced, with that token as `stored`, where `token` or one above it is
        stored: each run needs a token of its own (a coordination that forgot may hand one out twice)."""

    def ready(self, wait_seconds: float, *, midway: bool = False) -> bool:
        """Whether the queue takes more now; where it is full (sinks too slow, broker too slow), waits up to `wait_seconds`
        for that to change. Called before each `publish`, in a loop in which the reader renews its lease. What was published
        goes on its way meanwhile. Raises as `publish` does.
        `midway`: the sinks wait for the rest of a transaction of which they have a part; they make no room before it is there,
        so only the store is waited for."""

    def publish(
        self,
        messages: Sequence[Message],
        checkpoint: Checkpoint,
        schemas: Sequence[TableSchema] = (),
        versions: Sequence[TableVersion] = (),
    ) -> None:
        """Sends schemas and versions, then messages in their order, then moves the checkpoint.

        The checkpoint is stored only after every message of this and all earlier calls is confirmed, atomically with them
        where the store can. May return before that, holding a bounded amount. Does not wait for sinks (see `ready`), and
        never drops: one call is taken whole even where that goes over the limit. Waits for the store for some seconds at
        most, then raises QueueUnavailable. After one message failed none is sent any more. An error leaves open whether
        messages of this call arrived; its checkpoint did not move unless all of them did.
        `messages` may be empty (a checkpoint moves along). A message's key is never empty bytes. A value above
        `queue.max_message_bytes` raises QueueRefused."""

    def flush(self) -> None:
        """Returns when everything published is confirmed and the last checkpoint is stored; raises as `publish` does.
        A reader that has nothing to publish for a while calls it, else the last checkpoint may stay where it was."""

    @property
    def bundle_bytes(self) -> int:
        """How many bytes a bundle of copied rows (cdc.model.bundle) may have; 0 where each row is to be a message of its own,
        since others read the queue too."""

    @property
    def confirmed(self) -> Checkpoint | None:
        """The last checkpoint of this run that is stored (None before the first)."""

    def close(self) -> None:
        """Frees what it holds; waits for nothing (call `flush` before). May be called twice, and after an error."""


class LaneReader(Protocol):
    """Reads one lane in order. Not thread-safe. Errors: QueueUnavailable (again, with a new reader), Gap (entries after the
    asked offset are gone: trimmed, expired, lost; or the offset is none of this queue's), QueueRefused (stop)."""

    def read(self, max_messages: int, max_bytes: int, wait_seconds: float) -> Sequence[Received]:
        """The next messages, in order, at least one if there is one within `wait_seconds`, else empty: also where the lane
        does not exist (yet). Not more than `max_messages`; stops adding at `max_bytes` of values (one larger message still
        comes alone). Rows of a bundle come as messages of their own, all at its offset and all in one read, also where they
        go beyond that. Each message comes once from one reader, unless `nack` rewinds it."""

    def ack(self, offset: str) -> None:
        """Everything up to `offset` is committed at the sink's target. Never called before that commit. May let the queue
        trim what all configured sinks have acked. Losing an ack does no harm; the reader may hold it back (about a second),
        and sends it at the latest with a later read or `close`."""

    def pass_gap(self) -> None:
        """After a Gap: the next read goes on with what the lane still has, wherever that begins. Only for one that drops all
        until a new generation's epoch marker, which tells whether it makes good what is missing."""

    def nack(self) -> None:
        """What was read since the last ack was not applied: the next read hands it out again."""

    def close(self) -> None:
        """Frees what it holds; sends the last ack if that can be done at once. Raises nothing; may be called twice."""


class Queue(Protocol):
    """The adapter's front. Constructing it opens no connection. Its methods are thread-safe; each producer and each reader
    belongs to one thread."""

    def producer(self) -> Producer: ...

    def reader(self, sink: str, lane: str, after: str) -> LaneReader:
        """A reader of `lane` for the named sink, that begins after `after` ("" = the lane's first message; where the queue
        can tell that it is gone, that is a Gap). An `after` that is given says that all up to it is committed, as an ack does.
        `sink` "" only looks on: "" then is whatever the lane still has, and acks count for nothing."""

    def lanes(self) -> Sequence[str]:
        """The lanes that exist: those of the static layout, and those that a stored checkpoint names."""

    def checkpoint(self) -> Checkpoint | None:
        """The stored checkpoint with the highest token; reads only, fences nobody."""

    def schema(self, fingerprint: str) -> TableSchema | None:
        """A published schema; consumers that start later find it here."""

    def versions(self) -> Sequence[TableVersion]:
        """The schema history: all that was ever published, in no order; the same name only once."""

    def backlog(self, lane: str, after: str) -> int | None:
        """How many messages lie in the lane after `after`, a bundle counted as one; None where the queue cannot tell cheaply.
        For people and metrics."""

    def check(self) -> Sequence[str]:
        """Looks whether the queue is fit (reachable, not evicting, limits): raises QueueUnavailable or QueueRefused, and
        returns lines for a person about what it found (version, settings). For who is about to use it; `findings` tells more."""

    def findings(self, message_bytes: int) -> Sequence[Finding]:
        """For `cdc check`: rights, kind and state of the server, what may lose messages, and whether a full backlog has room, of
        messages of about `message_bytes`. Only reads. Raises QueueUnavailable and QueueRefused where it cannot be asked."""

    def close(self) -> None:
        """Frees its connections. Producers and readers made from it are closed before it. May be called twice."""
