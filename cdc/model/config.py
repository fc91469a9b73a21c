"""The connector file's values: one form, frozen, refused where impossible.

Reading the file, its `${…}` references and its line numbers is cdc.wiring.connector_file's job.
"""

import re
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator
from pydantic_core import PydanticCustomError

from cdc.model.duration import seconds_of
from cdc.model.file_url import file_urls, is_file_urls
from cdc.model.hours import Hours
from cdc.model.overlap import Destination, overlap

_NAME = r"^[a-z0-9][a-z0-9_-]{0,47}$"
_PORTS = {"mysql": 3306, "mariadb": 3306, "postgresql": 5432}
_HOST = re.compile(r"([^\s:/@\[\]]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?")


class Url(SecretStr):
    """A URL that never shows its password: `str()` and `repr()` give the redacted form.

    `get_secret_value()` is the whole. Parts are percent-decoded.
    """

    @property
    def scheme(self) -> str:
        return urlsplit(self.get_secret_value()).scheme

    @property
    def redacted(self) -> str:
        """Without password and query. What stands between the first `:` and the last `@` is hidden whatever it is: a password
        with `/` or `?` that nobody encoded is still a password."""
        return re.sub(r"(?<=://)([^:/@]*):.*@", r"\1:***@", self.get_secret_value(), flags=re.DOTALL).split("?")[0]

    @property
    def user(self) -> str:
        return unquote(urlsplit(self.get_secret_value()).username or "")

    @property
    def password(self) -> str:
        return unquote(urlsplit(self.get_secret_value()).password or "")

    @property
    def host(self) -> str:
        return urlsplit(self.get_secret_value()).hostname or ""

    @property
    def port(self) -> int | None:
        return urlsplit(self.get_secret_value()).port

    @property
    def path(self) -> str:
        return unquote(urlsplit(self.get_secret_value()).path)

    @property
    def place(self) -> str:
        """The same for two URLs of one database, whoever logs in and however this host is called; "" for memory."""
        scheme = "mysql" if self.scheme == "mariadb" else self.scheme
        if scheme == "memory":
            return ""
        if scheme == "sqlite":
            return f"sqlite:{Path(self.path.removeprefix('/')).resolve()}"
        return f"{scheme}:{self.server}{self.path}"

    @property
    def server(self) -> str:
        """host:port, the same for the names that this host has for itself."""
        host = "localhost" if self.host == "::1" or self.host.startswith("127.") else self.host
        return f"{host}:{self.port or _PORTS.get(self.scheme, 0)}"

    def __str__(self) -> str:
        return self.redacted

    def __repr__(self) -> str:
        return f"Url({self.redacted!r})"

    def _display(self) -> str:
        return self.redacted


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class Tls(_Section):
    """TLS of one connection; off loopback the default is verify-full."""

    mode: Literal["disabled", "required", "verify-ca", "verify-full"] = Field(
        description="disabled: plain text; required: encrypted, the server is not checked; verify-ca: its certificate is "
        "checked; verify-full: its host name too"
    )
    ca: str | None = Field(None, description="file with the CA certificates; default: the system's")
    cert: str | None = Field(None, description="file with the client's certificate")
    key: str | None = Field(None, description="file with the client's key")


def effective_tls(url: Url, tls: Tls | None) -> Tls:
    """The file's `tls:`, else verify-full, but plain on loopback."""
    if tls is not None:
        return tls
    loopback = url.host in {"localhost", "::1", ""} or url.host.startswith("127.")
    return Tls(mode="disabled" if loopback else "verify-full", ca=None, cert=None, key=None)


class SnapshotConfig(_Section):
    """How tables are copied while the stream goes on (`start: snapshot`, `cdc snapshot`)."""

    parallel: int = Field(2, ge=1, le=32, description="chunks that are read at the same time")
    chunk_rows: int = Field(20_000, ge=1, le=100_000, description="rows of a chunk, at most")
    chunk_bytes: int = Field(4 * 1024 * 1024, ge=1024, description="their bytes, at most; one larger row comes alone")
    where: dict[str, str] = Field(
        default_factory=dict, description="conditions in SQL by table (`db.table`): only these rows are copied"
    )
    max_running_threads: int | None = Field(
        None, ge=1, description="no more is read while the source has more running threads (`Threads_running`)"
    )
    max_replica_lag_seconds: float | None = Field(
        None,
        ge=0,
        description="no more is read while one of `replicas` is further behind, does not replicate, or does not answer",
    )
    replicas: tuple[Url, ...] = Field(
        (),
        description="replicas of the source, as URLs like source.url: for max_replica_lag_seconds; source.tls holds for them too",
    )
    window: str | None = Field(
        None, description="the hours of the day in which tables are copied, in UTC: 22:00-06:00; default: always"
    )

    @field_validator("replicas")
    @classmethod
    def _replica_schemes(cls, replicas: tuple[Url, ...]) -> tuple[Url, ...]:
        return tuple(_one_of(url, ("mysql", "mariadb")) for url in replicas)

    @model_validator(mode="after")
    def _replicas_with_a_limit(self) -> "SnapshotConfig":
        if self.replicas and self.max_replica_lag_seconds is None:
            raise _impossible(
                "replicas", "replicas are named without max_replica_lag_seconds", "say how far they may be"
            )
        if self.max_replica_lag_seconds is not None and not self.replicas:
            raise _impossible(
                "max_replica_lag_seconds", "max_replica_lag_seconds needs replicas", "name them: replicas: [mysql://…]"
            )
        return self

    @field_validator("window")
    @classmethod
    def _window(cls, window: str | None) -> str | None:
        if window is not None:
            Hours.parse(window)
        return window

    @property
    def hours(self) -> Hours | None:
        return None if self.window is None else Hours.parse(self.window)


class SourceConfig(_Section):
    """The MySQL or MariaDB server whose binlog is read, and what of it is captured."""

    url: Url = Field(description="mysql://user:password@host:port, or mariadb://")
    server_id: int = Field(ge=1, le=2**32 - 1, description="unique among the server's replicas")
    tables: tuple[str, ...] = Field(
        min_length=1,
        description="patterns `db.table` with * and ?; a leading ! excludes; the last match decides",
    )
    start: str = Field(
        "latest",
        description="where a new connector begins: latest, earliest, file:offset, a GTID set, an ISO time, or "
        "archived files (file:///backups/binlogs/; name them in archives too); snapshot: from now on, and the present rows of "
        "all tables are copied meanwhile",
    )
    snapshot: SnapshotConfig = Field(default_factory=lambda: SnapshotConfig.model_validate({}))
    archives: tuple[str, ...] = Field(
        (),
        description="copies of binlog files that the server may have purged, as URLs of files and folders "
        "(file:///backups/binlogs/); every process that reads the source needs them at these paths",
    )
    tls: Tls | None = Field(None, description="default: verify-full, plain on loopback")
    exclude_columns: tuple[str, ...] = Field((), description="patterns `db.table.column` that never leave the reader")
    mask_columns: tuple[str, ...] = Field(
        (), description="patterns `db.table.column` sent as a salted SHA-256, so that equal stays equal"
    )
    mask_salt: SecretStr | None = Field(None, description="salt of mask_columns; needed with it")
    by_table: tuple[str, ...] = Field(
        (),
        description="patterns of tables that go whole into one lane (tables with further unique keys do so by themselves)",
    )
    schema_changes: Literal["apply", "stop", "ignore"] = Field(
        "apply",
        description="what CREATE, ALTER and RENAME of captured tables do: apply: the sinks' tables are changed alike, at their "
        "place in the stream; stop: the reader stops; ignore: the sinks' tables stay as they are",
    )
    destructive_changes: Literal["apply", "stop", "ignore"] = Field(
        "stop",
        description="the same, for those that take values away: DROP of captured tables and columns, and RENAME to a name that "
        "is not captured",
    )
    include_query: bool = Field(
        False,
        description="change events carry the text of the statement that made them, where the source logs it (MySQL: "
        "binlog_rows_query_log_events=ON, MariaDB: binlog_annotate_row_events=ON)",
    )
    heartbeat_seconds: float = Field(1.0, gt=0, le=60, description="how often an idle source says that it is there")
    read_timeout_seconds: float | None = Field(None, gt=0, description="default: 10, at least three heartbeats")

    @field_validator("tables", "by_table")
    @classmethod
    def _qualified(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            if "." not in pattern:
                raise ValueError(f"'{pattern}' lacks the database: write db.table")
        return patterns

    @field_validator("exclude_columns", "mask_columns")
    @classmethod
    def _columns(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            if pattern.count(".") < 2:
                raise ValueError(f"'{pattern}' is not db.table.column")
        return patterns

    @field_validator("url")
    @classmethod
    def _scheme(cls, url: Url) -> Url:
        return _one_of(url, ("mysql", "mariadb"))

    @field_validator("start")
    @classmethod
    def _start(cls, start: str) -> str:
        if is_file_urls(start):
            file_urls(start)
        return start

    @field_validator("archives")
    @classmethod
    def _archives(cls, archives: tuple[str, ...]) -> tuple[str, ...]:
        for url in (url for text in archives for url in file_urls(text)):
            if url.offset is not None:
                raise ValueError(f"'{url}': an archive is a file or a folder, without an offset")
        return archives

    @model_validator(mode="after")
    def _texts_hide_nothing(self) -> "SourceConfig":
        if self.include_query and (self.mask_columns or self.exclude_columns):
            raise _impossible(
                "include_query",
                "a statement's text holds the values that mask_columns and exclude_columns keep back",
                "take include_query out",
            )
        return self

    @model_validator(mode="after")
    def _salted(self) -> "SourceConfig":
        if self.mask_columns and not (self.mask_salt and self.mask_salt.get_secret_value()):
            raise _impossible(
                "mask_columns",
                "mask_columns needs mask_salt: without one a masked value can be guessed",
                "add mask_salt: ${CDC_MASK_SALT} to the source",
            )
        return self


class QueueConfig(_Section):
    """Where change events wait, in order within each lane."""

    url: Url = Field(description="redis:// rediss:// redis+sentinel:// redis+cluster:// kafka://host:9092,… memory://")
    lanes: int = Field(
        4, ge=1, le=1024, description="ordered queues side by side; another number begins a new generation"
    )
    topic: str | None = Field(None, description="Kafka: the topic's name, from {name}, {db}, {table}; default {name}")
    exactly_once: bool = Field(False, description="Kafka: rows and checkpoint in one Kafka transaction")
    max_backlog: int = Field(
        100_000,
        ge=1000,
        description="Redis Streams: messages of a lane at which the reader waits for the sinks; with order: transaction a "
        "transaction larger than this is held whole all the same",
    )
    max_message_bytes: int = Field(
        64 * 1024 * 1024, ge=1024, description="a larger change event stops the reader, with its table named"
    )
    # Not shown: sasl.password is one of them.
    properties: dict[str, str] = Field(
        default_factory=dict, repr=False, description="Kafka: librdkafka properties, as they are"
    )
    tls: Tls | None = Field(None, description="default: verify-full, plain on loopback")

    @field_validator("url")
    @classmethod
    def _scheme(cls, url: Url) -> Url:
        return _one_of(url, (*_REDIS, "kafka", "kafka+ssl", "memory"))

    @model_validator(mode="after")
    def _kafka_only(self) -> "QueueConfig":
        if not self.url.scheme.startswith("kafka"):
            for key in ("topic", "exactly_once", "properties"):
                if getattr(self, key):
                    raise _impossible(key, f"{key} is for Kafka queues only", "take it out, or use kafka://")
        return self


class SinkConfig(_Section):
    """A target, and how change events are applied to it."""

    url: Url = Field(description="postgresql:// mysql:// mariadb:// sqlite:///file memory://")
    tables: tuple[str, ...] = Field(
        ("*.*",), min_length=1, description="which of the source's tables this sink applies"
    )
    table: str = Field("{table}", description="the target's table, from {db} and {table}")
    create_tables: bool = Field(True, description="make tables and columns that the target lacks")
    on_error: Literal["stop", "dead_letter"] = Field(
        "stop",
        description="what a row that the target refuses does: stop the sink, or wait as a dead letter, and with it all later "
        "changes of that row",
    )
    missing_rows: Literal["error", "insert"] = Field(
        "error",
        description="what an update of a row that the target lacks is: an error, or an insert of the whole row",
    )
    batch_rows: int = Field(
        5000,
        ge=1,
        le=100_000,
        description="change events in one transaction at the target, at most; of rows that are copied about three times as many",
    )
    batch_bytes: int = Field(12 * 1024 * 1024, ge=1024, description="their bytes, at most")
    tls: Tls | None = Field(None, description="default: verify-full, plain on loopback")

    @field_validator("url")
    @classmethod
    def _scheme(cls, url: Url) -> Url:
        return _one_of(url, ("postgresql", "mysql", "mariadb", "sqlite", "memory"))

    @field_validator("table")
    @classmethod
    def _template(cls, table: str) -> str:
        try:
            table.format(db="a", table="b")
        except (KeyError, IndexError, ValueError) as error:
            raise ValueError("only {db} and {table} can stand in braces") from error
        return table


class CoordinationConfig(_Section):
    """The Redis that holds leases and fencing tokens."""

    url: Url = Field(description="redis:// rediss:// redis+sentinel:// redis+cluster:// memory://")
    lease_seconds: float = Field(
        10.0, ge=0.5, le=600, description="how long a process that fell silent keeps its work before another takes it"
    )
    tls: Tls | None = Field(None, description="default: verify-full, plain on loopback")

    @field_validator("url")
    @classmethod
    def _scheme(cls, url: Url) -> Url:
        return _one_of(url, (*_REDIS, "memory"))


class VerifyConfig(_Section):
    """Comparing both sides again and again, in a process of its own."""

    every: str = Field(
        description="how long after the end of one comparison the next one begins: 90s, 30m, 6h, 1d; the first begins at once"
    )
    max_rows_per_second: int = Field(
        20_000,
        ge=1,
        description="of the source, at most: a comparison is to cost both servers little, not to be soon done",
    )

    @field_validator("every")
    @classmethod
    def _every(cls, every: str) -> str:
        seconds_of(every)
        return every

    @property
    def every_seconds(self) -> int:
        return seconds_of(self.every)


SinkName = Annotated[str, Field(pattern=_NAME)]


class ConnectorConfig(_Section):
    """One connector: a source, a queue, one or several sinks, and how they are coordinated."""

    name: str = Field(pattern=_NAME, description="prefixes everything that the connector owns")
    source: SourceConfig
    queue: QueueConfig
    order: Literal["key", "transaction"] = Field(
        "key",
        description="key: changes of one row in commit order, lanes in parallel; transaction: one lane, and the target only "
        "ever shows states that the source had",
    )
    sink: SinkConfig | None = Field(None, description="the one sink; its name is `sink`")
    sinks: dict[SinkName, SinkConfig] = Field(default_factory=dict, description="or several, by name")
    coordination: CoordinationConfig | None = Field(None, description="default: the queue's Redis")
    verify: VerifyConfig | None = Field(
        None,
        description="both sides are compared again and again while they run, by a process of `cdc run`; default: never",
    )

    @model_validator(mode="after")
    def _possible(self) -> "ConnectorConfig":
        self._one_way_of_sinks()
        if self.coordination is None and self.queue.url.scheme not in (*_REDIS, "memory"):
            what = "coordination.url is needed where the queue is not Redis"
            raise _impossible("coordination", what, "add coordination: {url: redis://…}")
        if self.order == "transaction":
            self._one_lane()
        self._no_shared_tables()
        schemes = {self.queue.url.scheme, self.coordinator.url.scheme}
        if "memory" in schemes and len(schemes) > 1:
            what = "memory:// is for queue and coordination together"
            raise _impossible("queue.url", what, "both live in one process: give both memory://, or both a server")
        if self.verify is not None and any(sink.url.scheme == "memory" for sink in self.all_sinks.values()):
            raise _impossible("verify", "a sink in memory:// cannot be compared", "take verify out")
        return self

    def _one_way_of_sinks(self) -> None:
        if self.sink is None and not self.sinks:
            raise _impossible("sink", "a connector needs a sink", "give `sink`, or several by name under `sinks`")
        if self.sink is not None and self.sinks:
            raise _impossible("sinks", "both `sink` and `sinks` are given", "keep one of the two")

    def _one_lane(self) -> None:
        if self.queue.lanes != 1 and "lanes" in self.queue.model_fields_set:
            raise _impossible("queue.lanes", "order: transaction has one lane", "drop queue.lanes, or set it to 1")
        if self.queue.topic and "{" in self.queue.topic.replace("{name}", ""):
            raise _impossible(
                "queue.topic", "order: transaction has one topic", "take {db} and {table} out of queue.topic"
            )

    def _no_shared_tables(self) -> None:
        seen: dict[str, Destination] = {}
        for name in self.all_sinks:
            place = self.destination(name)
            for other, before in seen.items():
                if (example := overlap(before, place)) is not None:
                    raise _impossible(
                        f"sinks.{name}",
                        f"sinks {other} and {name} write to one table of one target, such as {example}",
                        "narrow `tables` of one, or write to other names with `table`",
                    )
            seen[name] = place

    def destination(self, sink: str) -> Destination:
        """Which tables of which target the sink writes, comparable with those of other connectors."""
        config = self.all_sinks[sink]
        return Destination(config.url.place, (self.source.tables, config.tables), config.table)

    @property
    def all_sinks(self) -> dict[str, SinkConfig]:
        return self.sinks or ({"sink": self.sink} if self.sink else {})

    @property
    def lanes(self) -> int:
        return 1 if self.order == "transaction" else self.queue.lanes

    @property
    def coordinator(self) -> CoordinationConfig:
        if self.coordination is not None:
            return self.coordination
        return CoordinationConfig(url=self.queue.url, tls=self.queue.tls, lease_seconds=10.0)


_REDIS = ("redis", "rediss", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster")


def _impossible(key: str, what: str, hint: str) -> PydanticCustomError:
    """A refusal that belongs to another key than the one that pydantic would name."""
    return PydanticCustomError("impossible", "{what}", {"what": what, "key": key, "hint": hint})


def _one_of(url: Url, schemes: tuple[str, ...]) -> Url:
    if "://" not in url.get_secret_value():
        raise ValueError(f"expected a URL that begins with {_choices(schemes)}")
    if url.scheme not in schemes:
        raise ValueError(f"'{url.scheme}://' is not one of {_choices(schemes)}")
    if url.scheme not in ("sqlite", "memory") and not _hosts_and_ports(url):
        # The offending part is not shown: it may be the rest of a password that was cut at a `/`.
        raise ValueError(
            "expected host and port after ://user:password@; "
            "in a password that is written out, / ? # @ : and % must be percent-encoded"
        )
    return url


def _choices(schemes: tuple[str, ...]) -> str:
    return ", ".join(f"{scheme}://" for scheme in schemes)


def _hosts_and_ports(url: Url) -> bool:
    hosts = urlsplit(url.get_secret_value()).netloc.rpartition("@")[2]
    return all(_HOST.fullmatch(host) is not None for host in hosts.split(","))
