"""One connector's keys in Redis, its scripts as typed methods, and the meaning of Redis' errors for a queue.

All keys carry the hash tag `{name}`, so that a connector lives in one slot of a Redis Cluster.
"""

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple, TypeVar

from redis import Redis
from redis.exceptions import OutOfMemoryError, ResponseError

from cdc.connect.redis import ERRORS, Client, Script, classify, explain, open_redis
from cdc.connect.redis_reply import raw_reply, raw_transaction, takes_raw
from cdc.model.compiled_received import ReceivedBlock
from cdc.model.config import ConnectorConfig
from cdc.model.errors import CdcError, QueueRefused, QueueUnavailable
from cdc.queue.entry_id import EntryId
from cdc.queue.port import Received
from cdc.queue.redis_parts import Appends, Part

_OPEN: Final = Script("cdc.queue", "open")
_PUBLISH: Final = Script("cdc.queue", "publish")
_ACK: Final = Script("cdc.queue", "ack")
_READ: Final = Script("cdc.queue", "read")
_ENDS: Final = Script("cdc.queue", "ends")

MANY: Final = 64
"""So many entries are worth a round trip of their own, which makes them cheaper."""
_MANY_BYTES: Final = 256 * 1024
_FEW_BYTES: Final = 16 * 1024

_T = TypeVar("_T")


class Verdict(NamedTuple):
    """What a script answered: `status` OK, FENCED, LOST or GONE, and the rest of its reply."""

    status: str
    rest: list[Any]


class Call(NamedTuple):
    """What one call of publish.lua takes. `first_numbers`: for every lane of `part`, its first entry's number in the run.
    `checkpoint`: b"" leaves it where it is. `described`: schemas and table versions, name and JSON. `copied`: see
    RedisStore.copied, with what this call adds."""

    part: Part
    first_numbers: Mapping[str, int]
    checkpoint: bytes
    described: Sequence[tuple[str, bytes]]
    copied: Mapping[str, int]


class Known(NamedTuple):
    """Of a lane, whose entries do not change: none up to `last` has more bytes than `largest_bytes`. `rows`: the next ones have
    so many each, as far as one can tell; more than one: they are bundles."""

    last: EntryId
    largest_bytes: int
    rows: int


class Page(NamedTuple):
    """Entries of a lane, and the id up to which it was trimmed. `known`: there are many entries; none came, but what tells how
    many of them can be asked for at once."""

    trimmed: EntryId
    entries: list[Received]
    known: Known | None = None


class Ends(NamedTuple):
    """A lane's length, and the ids of its first and its last entry."""

    length: int
    first: EntryId
    last: EntryId


class RedisStore:
    """Thread-safe; connects with the first command. Raises QueueUnavailable and QueueRefused."""

    timeout_seconds = 5.0

    def __init__(self, config: ConnectorConfig) -> None:
        self._config = config
        self._opening = threading.Lock()
        self._client: Client | None = None
        self._prefix = f"{{{config.name}}}:"

    @property
    def client(self) -> Client:
        """Opened where it is used, since opening a cluster connects."""
        with self._opening:
            if self._client is None:
                queue = self._config.queue
                self._client = open_redis(queue.url, queue.tls, timeout_seconds=self.timeout_seconds)
            return self._client

    def key(self, name: str) -> str:
        return self._prefix + name

    def stream(self, lane: str) -> str:
        return self.key(f"lane:{lane}")

    def run(self, command: Callable[[Client], _T]) -> _T:
        """Runs it on the client; maps the driver's errors."""
        try:
            return command(self.client)
        except ERRORS as error:
            raise self.explained(error) from error

    def explained(self, error: Exception) -> CdcError:
        url = self._config.queue.url
        said = explain(error, url)
        # Redis 6.2 hides the code inside a script's error.
        if isinstance(error, OutOfMemoryError) or (isinstance(error, ResponseError) and "OOM command" in said):
            return QueueUnavailable(
                f"Redis at {url} is out of memory",
                hint="let the sinks catch up, lower queue.max_backlog, or raise maxmemory",
            )
        if classify(error) == "unavailable":
            return QueueUnavailable(f"Redis at {url}: {said}", hint="it is tried again; look whether Redis runs")
        return QueueRefused(
            f"Redis at {url} refuses: {said}", hint="look at user, password, rights, and what else uses these keys"
        )

    def open(self, token: int) -> Verdict:
        keys = [self.key("epoch"), self.key("checkpoint")]
        return _verdict(self.run(lambda client: _OPEN(client, keys, [token])))

    def publish(self, token: int, number: int, call: Call) -> Verdict:
        """`number`: how many calls of this run went before. `rest`: the lanes' lengths in the order of `call.first_numbers`."""
        places = {lane: place for place, lane in enumerate(call.first_numbers, start=1)}
        keys = [self.key("epoch"), self.key("checkpoint"), self.key("schemas"), *map(self.stream, places)]
        args: list[str | bytes | int] = [token, number, call.checkpoint, len(call.described)]
        for name, described in call.described:
            args += (name, described)
        if call.part.appends is None or not takes_raw(self.client):
            for lane, first in call.first_numbers.items():
                args += (first, 0, 0, call.copied[lane])
            args.append(call.part.text(places))
            return _verdict(self.run(lambda client: _PUBLISH(client, keys, args)))
        for lane, first in call.first_numbers.items():
            args += (first, call.part.counts[lane], call.part.appends.largest[lane], call.copied[lane])
        args.append(b"")
        return self._append(token, number, call, call.part.appends, keys, args)

    def _append(
        self,
        token: int,
        number: int,
        call: Call,
        appends: Appends,
        keys: Sequence[str],
        args: Sequence[str | bytes | int],
    ) -> Verdict:
        """The entries by one XADD each, then the script, in one transaction, which the epoch's change calls off."""
        streams = {lane: self.stream(lane).encode() for lane in call.first_numbers}
        commands: list[bytes | bytearray] = [
            appends.commands(streams, token, call.first_numbers),
            *_PUBLISH.packed(keys, args),
        ]
        count = sum(call.part.counts.values()) + 1
        expected = {"token": b"%d" % token, "call": b"%d" % number}

        def ask(client: Client) -> Verdict:
            reply = raw_transaction(client, keys[0], expected, commands, count) if isinstance(client, Redis) else None
            if reply is not None:
                lengths = _lengths(reply, len(streams))
                if lengths is not None:
                    return Verdict("OK", lengths)
                if b"\r\n-EXECABORT" in reply:
                    # Nothing was done, and the first error tells why.
                    raise ResponseError(_error(reply))
            # Said by the script: also where Redis had forgotten it, and has done all but that.
            return _verdict(_PUBLISH(client, keys, args))

        return self.run(ask)

    def ack(self, lane: str, sink: str, place: EntryId) -> int:
        """How many entries were trimmed."""
        keys = [self.key("acks"), self.stream(lane)]
        args = [lane, sink, str(place), *self._config.all_sinks]
        return int(self.run(lambda client: _ACK(client, keys, args)))

    def read(self, lane: str, after: EntryId, max_messages: int, max_bytes: int, *, few: bool = False) -> Page:
        """`few`: where there are MANY, the page has none, but `known`, if `range` can be asked for them."""
        keys = [self.stream(lane), self.key("acks"), self.key("epoch")]
        args = (lane, str(after), max_messages, max_bytes)
        reply: list[bytes] = self.run(
            lambda client: _READ(client, keys, (*args, MANY if few and takes_raw(client) else 0))
        )
        if reply[1]:
            known = Known(EntryId.parse(lane, reply[1].decode()), int(reply[2]), int(reply[3]))
            return Page(EntryId.parse(lane, reply[0].decode()), [], known)
        fields = iter(islice(reply, 4, None))
        entries = [
            Received(id_.decode(), key or None, value) for id_, key, value in zip(fields, fields, fields, strict=True)
        ]
        return Page(EntryId.parse(lane, reply[0].decode()), entries)

    def range(
        self, lane: str, after: EntryId, last: EntryId, count: int, *, expected_bytes: int
    ) -> ReceivedBlock | None:
        """Up to `count` entries behind `after`, none behind `last`, where a `read` gave `known`. None where the answer is none
        of entries: `read` will say why."""
        command = ("XRANGE", self.stream(lane), f"({after}", str(last), "COUNT", count)
        reply = self._raw(command, max(_MANY_BYTES, expected_bytes))
        return None if reply is None else ReceivedBlock.of_reply(reply)

    def wait(self, lane: str, after: EntryId, wait_seconds: float, count: int) -> ReceivedBlock | None:
        """Waits for an entry after `after`; up to `count` of them at once. None where none came, or where they can only be had
        by `read`. Returns early: nothing says that time is up."""
        # Less than the socket's timeout, or waiting would look like a dead server.
        block_ms = max(1, int(1000 * min(wait_seconds, self.timeout_seconds / 2)))
        stream = self.stream(lane)
        command = ("XREAD", "COUNT", count, "BLOCK", block_ms, "STREAMS", stream, str(after))
        reply = self._raw(command, _FEW_BYTES) if takes_raw(self.client) else None
        if reply is None or reply.startswith(b"-"):
            # An error is told by the driver, in its own words.
            streams: Any = {stream: str(after)}
            self.run(lambda client: client.xread(streams, count=1, block=block_ms))
            return None
        # One stream was asked for: an array of one, its name and its entries.
        head = b"*1\r\n*2\r\n$%d\r\n%b\r\n" % (len(stream.encode()), stream.encode())
        if not reply.startswith(head):
            return None
        return ReceivedBlock.of_reply(reply[len(head) :])

    def _raw(self, command: Sequence[str | bytes | int], expected_bytes: int) -> bytearray | None:
        def ask(client: Client) -> bytearray | None:
            return raw_reply(client, *command, expected_bytes=expected_bytes) if isinstance(client, Redis) else None

        return self.run(ask)

    def length(self, lane: str) -> int:
        return int(self.run(lambda client: client.xlen(self.stream(lane))))

    def ends(self, lane: str) -> Ends:
        length, first, last = self.run(lambda client: _ENDS(client, [self.stream(lane)]))
        return Ends(int(length), EntryId.parse(lane, first.decode()), EntryId.parse(lane, last.decode()))

    def copied(self) -> Mapping[str, int]:
        """By lane, how many more messages than entries may be there: an entry may be a bundle."""
        begin = f"copied:{self.stream('')}".encode()
        epoch = self.fields("epoch")
        return {name[len(begin) :].decode(): int(value) for name, value in epoch.items() if name.startswith(begin)}

    def get(self, name: str) -> bytes | None:
        value: Any = self.run(lambda client: client.get(self.key(name)))
        return value if value is None else bytes(value)

    def field(self, name: str, field: str) -> bytes | None:
        value: Any = self.run(lambda client: client.hget(self.key(name), field))
        return value if value is None else bytes(value)

    def fields(self, name: str) -> Mapping[bytes, bytes]:
        found: Any = self.run(lambda client: client.hgetall(self.key(name)))
        return dict(found)

    def close(self) -> None:
        with self._opening:
            client, self._client = self._client, None
        if client is not None:
            client.close()


def _lengths(reply: bytes | bytearray, streams: int) -> list[int] | None:
    """What publish.lua answered as the last of a transaction, if that was OK."""
    head = b"*%d\r\n$2\r\nOK\r\n" % (1 + streams)
    at = reply.rfind(head)
    found = re.fullmatch(rb"(?::\d+\r\n){%d}" % streams, reply[at + len(head) :]) if at >= 0 else None
    return None if found is None else [int(one) for one in re.findall(rb"\d+", found[0])]


def _error(reply: bytes | bytearray) -> str:
    found = re.search(rb"(?:^|\r\n)-([^\r\n]*)", reply)
    return found[1].decode(errors="replace") if found else ""


def _verdict(reply: list[Any]) -> Verdict:
    return Verdict(reply[0].decode(), reply[1:])
