"""Lockstep's own two tables at a target, the statements on them, and their rows as values.

Statements are text with named parameters of the dialect's driver (`%(name)s`, SQLite `:name`), to be executed with a dict.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.schema import CreateTable
from sqlalchemy.sql.elements import ClauseElement

from cdc.model.batch import DeadLetter, Key
from cdc.model.checkpoint import Progress, SourcePoint
from cdc.model.position import Sequence
from cdc.model.schema_change import SchemaChange
from cdc.target.carried import line_of
from cdc.target.port import StoredLetter
from cdc.target.sql.dialects import SqlDialect

_BINARY_TEXT: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}
_LONG_TEXT = sa.Text().with_variant(mysql.LONGTEXT(), "mysql")
_BYTES = sa.LargeBinary().with_variant(mysql.LONGBLOB(), "mysql")
_metadata = sa.MetaData()


def _bigint(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=nullable)


PROGRESS = sa.Table(
    "_cdc_progress",
    _metadata,
    sa.Column("connector", sa.String(48), primary_key=True),
    sa.Column("sink", sa.String(48), primary_key=True),
    sa.Column("lane", sa.String(300), primary_key=True),
    _bigint("token"),
    _bigint("reader_token"),
    _bigint("generation"),
    _bigint("file_number"),
    _bigint("file_offset"),
    _bigint("event_row"),
    _bigint("events"),
    sa.Column("queue_offset", sa.String(300), nullable=False),
    sa.Column("source_id", sa.String(100)),
    sa.Column("source_file", sa.String(300)),
    _bigint("source_pos", nullable=True),
    sa.Column("source_gtid", _LONG_TEXT),
    _bigint("source_created", nullable=True),
    _bigint("arrived_generation", nullable=True),
    _bigint("arrived_file", nullable=True),
    _bigint("arrived_offset", nullable=True),
    _bigint("arrived_row", nullable=True),
    _bigint("commit_us"),
    sa.Column("fingerprint", sa.String(64), nullable=False),
    sa.Column("session", sa.String(100), nullable=False),
    sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
    **_BINARY_TEXT,
)

LETTERS = sa.Table(
    "_cdc_dead_letters",
    _metadata,
    # SQLite counts up by itself only in an INTEGER PRIMARY KEY, and re-uses the highest id without AUTOINCREMENT.
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("connector", sa.String(48), nullable=False),
    sa.Column("sink", sa.String(48), nullable=False),
    sa.Column("lane", sa.String(300), nullable=False),
    sa.Column("db_name", sa.String(64), nullable=False),
    sa.Column("table_name", sa.String(64), nullable=False),
    sa.Column("key_json", _LONG_TEXT, nullable=False),
    sa.Column("key_hash", sa.String(64), nullable=False),
    sa.Column("seq", sa.String(100), nullable=False),
    sa.Column("op", sa.String(1), nullable=False),
    sa.Column("event", _BYTES, nullable=False),
    sa.Column("reason", _LONG_TEXT, nullable=False),
    sa.Column("parked_at", sa.DateTime(timezone=True), nullable=False),
    # An index by sink, lane and key; as a constraint it comes with CREATE TABLE, for which IF NOT EXISTS is known everywhere.
    sa.UniqueConstraint("connector", "sink", "lane", "key_hash", "id", name="_cdc_dead_letters_by_key"),
    sqlite_autoincrement=True,
    **_BINARY_TEXT,
)

_LANE = sa.and_(
    PROGRESS.c.connector == sa.bindparam("connector"),
    PROGRESS.c.sink == sa.bindparam("sink"),
    PROGRESS.c.lane == sa.bindparam("lane"),
)
_SINK_LETTERS = sa.and_(
    LETTERS.c.connector == sa.bindparam("connector"),
    LETTERS.c.sink == sa.bindparam("sink"),
)
_MOVED = (
    *("reader_token", "generation", "file_number", "file_offset", "event_row", "events", "queue_offset"),
    *("source_id", "source_file", "source_pos", "source_gtid", "source_created"),
    *("arrived_generation", "arrived_file", "arrived_offset", "arrived_row", "commit_us", "fingerprint"),
)
_LETTER_COLUMNS = tuple(c.name for c in LETTERS.columns if c.name not in {"id", "parked_at"})
_STORED = ("id", "lane", "db_name", "table_name", "key_json", "seq", "reason", "parked_at", "event")


@dataclass(frozen=True, slots=True)
class Statements:
    """What an adapter executes on Lockstep's own tables.

    read_progress, lock_progress (FOR UPDATE; the same on SQLite), insert_progress, move_progress (only while `token` is
    the stored one: its row count tells), take_token (new `token` and `session`, only while `token` is above the stored
    one) take the parameters of `lane_row`; all_progress and the letters' statements: connector, sink.
    Rows of read_progress and lock_progress go to `progress_of`, with `session` last; all_progress the same.
    list_letters has `limit` and gives rows for `stored_letter`; parked gives (db, table, key JSON) for `parked_key`;
    drop_letter has the parameters of `letter_at`; drop_table_letters and has_table_letters (a row where there are any) `db_name`
    and `table_name`, move_table_letters also `new_db` and `new_table`, alter_table_letters also `line`: bytes that are added to
    the events.
    """

    create: tuple[str, ...]
    read_progress: str
    lock_progress: str
    all_progress: str
    insert_progress: str
    move_progress: str
    take_token: str
    insert_letter: str
    parked: str
    list_letters: str
    count_letters: str
    drop_letter: str
    drop_table_letters: str
    has_table_letters: str
    move_table_letters: str
    alter_table_letters: str


def statements(dialect: SqlDialect) -> Statements:
    def text(clause: ClauseElement) -> str:
        return str(clause.compile(dialect=dialect.statements))

    now = sa.func.current_timestamp()
    row = sa.select(
        *(c for c in PROGRESS.c if c.name not in {"connector", "sink", "session", "updated_at"}), PROGRESS.c.session
    )
    moved: dict[str, Any] = {name: sa.bindparam(name) for name in _MOVED}
    mine = PROGRESS.c.sink == sa.bindparam("sink")
    of_table = sa.and_(
        _SINK_LETTERS,
        LETTERS.c.db_name == sa.bindparam("db_name"),
        LETTERS.c.table_name == sa.bindparam("table_name"),
    )
    longer: Any = LETTERS.c.event.concat(sa.bindparam("line"))
    if dialect.name == "sqlite":
        # There, || makes text of it.
        longer = sa.cast(longer, sa.LargeBinary())
    renamed: dict[str, Any] = {"db_name": sa.bindparam("new_db"), "table_name": sa.bindparam("new_table")}
    return Statements(
        # Progress last: who finds it there, finds the other too.
        create=tuple(
            str(CreateTable(table, if_not_exists=True).compile(dialect=dialect.plain)) for table in (LETTERS, PROGRESS)
        ),
        read_progress=text(row.where(_LANE)),
        lock_progress=text(row.where(_LANE).with_for_update()),
        all_progress=text(row.where(PROGRESS.c.connector == sa.bindparam("connector"), mine)),
        insert_progress=text(
            PROGRESS.insert().values(
                {c.name: sa.bindparam(c.name) for c in PROGRESS.c if c.name != "updated_at"} | {"updated_at": now}
            )
        ),
        move_progress=text(
            PROGRESS.update()
            .where(_LANE, PROGRESS.c.token == sa.bindparam("token"))
            .values(moved | {"updated_at": now})
        ),
        take_token=text(
            PROGRESS.update()
            .where(_LANE, PROGRESS.c.token < sa.bindparam("token"))
            .values(token=sa.bindparam("token"), session=sa.bindparam("session"), updated_at=now)
        ),
        insert_letter=text(
            LETTERS.insert().values({name: sa.bindparam(name) for name in _LETTER_COLUMNS} | {"parked_at": now})
        ),
        parked=text(
            sa.select(LETTERS.c.db_name, LETTERS.c.table_name, LETTERS.c.key_json).where(_SINK_LETTERS).distinct()
        ),
        list_letters=text(sa.select(*(LETTERS.c[name] for name in _STORED)).where(_SINK_LETTERS).order_by(LETTERS.c.id))
        # Not `.limit()`: it brings an OFFSET parameter of its own on SQLite.
        + f" LIMIT {text(sa.bindparam('limit', type_=sa.Integer()))}",
        count_letters=text(sa.select(sa.func.count()).select_from(LETTERS).where(_SINK_LETTERS)),
        drop_letter=text(
            LETTERS.delete().where(
                of_table,
                LETTERS.c.id == sa.bindparam("id"),
                sa.func.length(LETTERS.c.event) == sa.bindparam("event_bytes", type_=sa.Integer()),
            )
        ),
        drop_table_letters=text(LETTERS.delete().where(of_table)),
        has_table_letters=text(sa.select(LETTERS.c.id).where(of_table)) + " LIMIT 1",
        move_table_letters=text(LETTERS.update().where(of_table).values(renamed)),
        alter_table_letters=text(LETTERS.update().where(of_table).values(event=longer)),
    )


def lane_row(connector: str, sink: str, progress: Progress, session: str) -> dict[str, Any]:
    """All parameters of a lane's progress row."""
    point, arrived = progress.point, progress.arrived
    arrived_parts = tuple(arrived) if arrived else (None, None, None, None)
    source = (point.source_id, point.file, point.offset, point.gtid_set, point.file_created) if point else (None,) * 5
    return {
        "connector": connector,
        "sink": sink,
        "lane": progress.lane,
        "token": progress.token,
        "session": session,
        **dict(
            zip(
                _MOVED,
                (
                    progress.reader_token,
                    *progress.watermark,
                    progress.count,
                    progress.offset,
                    *source,
                    *arrived_parts,
                    progress.commit_us,
                    progress.fingerprint,
                ),
                strict=True,
            )
        ),
    }


def progress_of(row: Any) -> tuple[Progress, str]:
    """A row of Statements.read_progress: the lane's progress, and the holder's session."""
    lane, token, reader_token, *rest = row
    watermark, (events, queue_offset) = rest[:4], rest[4:6]
    source_id, source_file, source_pos, source_gtid, source_created = rest[6:11]
    arrived, (commit_us, fingerprint, session) = rest[11:15], rest[15:18]
    point = None
    if source_id is not None:
        point = SourcePoint(source_id, source_file, source_pos, source_gtid, source_created)
    progress = Progress(
        lane=lane,
        token=token,
        reader_token=reader_token,
        watermark=Sequence(*watermark),
        count=events,
        offset=queue_offset,
        point=point,
        arrived=None if arrived[0] is None else Sequence(*arrived),
        commit_us=commit_us,
        fingerprint=fingerprint,
    )
    return progress, session


def letter_row(connector: str, sink: str, lane: str, letter: DeadLetter) -> dict[str, Any]:
    """The parameters of Statements.insert_letter."""
    change = letter.change
    key = orjson.dumps(change.key)
    return {
        "connector": connector,
        "sink": sink,
        "lane": lane,
        "db_name": change.db,
        "table_name": change.table,
        "key_json": key.decode(),
        "key_hash": hashlib.sha256(key).hexdigest(),
        "seq": ":".join(map(str, change.seq)),
        "op": change.op,
        "event": change.raw,
        "reason": letter.reason,
    }


def table_letters(connector: str, sink: str, change: SchemaChange) -> dict[str, Any]:
    """The parameters of Statements' *_table_letters."""
    old: dict[str, Any] = {"connector": connector, "sink": sink, "db_name": change.db, "table_name": change.table}
    if change.kind == "alter":
        return {**old, "line": line_of(change)}
    return old if change.to is None else {**old, "new_db": change.to[0], "new_table": change.to[1]}


def letter_at(connector: str, sink: str, letter: StoredLetter) -> dict[str, Any]:
    """The parameters of Statements.drop_letter: the letter as it was listed, and no other."""
    return {
        "connector": connector,
        "sink": sink,
        "db_name": letter.db,
        "table_name": letter.table,
        "id": letter.id,
        "event_bytes": len(letter.value) + len(letter.since),
    }


def parked_key(row: Any) -> tuple[str, str, Key]:
    """A row of Statements.parked."""
    db, table, key = row
    return db, table, tuple(orjson.loads(key))


def _message_key(key: str) -> bytes:
    """What `parse` takes as a message's key: an object, its names being of no account."""
    return orjson.dumps({str(number): value for number, value in enumerate(orjson.loads(key), 1)})


def stored_letter(row: Any) -> StoredLetter:
    """A row of Statements.list_letters."""
    values: Mapping[str, Any] = dict(zip(_STORED, row, strict=True))
    # JSON as it comes on the wire has no line feed.
    value, feed, since = bytes(values["event"]).partition(b"\n")
    return StoredLetter(
        id=values["id"],
        lane=values["lane"],
        db=values["db_name"],
        table=values["table_name"],
        key=values["key_json"],
        seq=values["seq"],
        reason=values["reason"],
        parked_at=str(values["parked_at"]),
        key_json=_message_key(values["key_json"]),
        value=value,
        since=feed + since,
    )
