# ruff: noqa: PLC0415 - a sink loads no reader, and `cdc run` neither of the two
"""Makes the long-running processes of a connector from its parts, and loads what it makes."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from cdc.wiring.parts import Parts

if TYPE_CHECKING:
    from collections.abc import Sequence as Keys

    from cdc.binlog.rows_port import Key
    from cdc.model.copies import Copies
    from cdc.model.position import Sequence
    from cdc.observe.health import Health
    from cdc.observe.metrics import ReaderMetrics, SinkMetrics
    from cdc.observe.verify_metrics import VerifyMetrics
    from cdc.processes.copy_client import Sending
    from cdc.processes.drain import Drain
    from cdc.processes.reader import Reader
    from cdc.processes.replay import Rewound
    from cdc.processes.sink import SinkWorker
    from cdc.processes.table_sides import Clock
    from cdc.processes.touched import TableTouched, Touched
    from cdc.processes.verification import Verification
    from cdc.processes.verify import Options, Watcher
    from cdc.processes.verify_report import TableReport
    from cdc.processes.verify_schedule import ScheduledVerify


def reader(parts: Parts, *, metrics: "ReaderMetrics", health: "Health", drain_to: "Sequence | None" = None) -> "Reader":
    from cdc.processes.reader import Reader

    return Reader(
        parts.config,
        parts.source,
        parts.rows,
        parts.queue,
        parts.targets,
        parts.coordination,
        metrics=metrics,
        health=health,
        drain_to=drain_to,
    )


def sink_worker(parts: Parts, sink: str, *, metrics: "SinkMetrics", health: "Health") -> "SinkWorker":
    from cdc.processes.sink import SinkWorker

    return SinkWorker(
        parts.config, sink, parts.queue, parts.target(sink), parts.coordination, metrics=metrics, health=health
    )


def drain(parts: Parts) -> "Drain":
    from cdc.processes.drain import Drain

    return Drain(parts.source, parts.queue, parts.targets)


def rewind(parts: Parts, asked: str) -> "Rewound":
    from cdc.processes.replay import replay_from

    return replay_from(
        asked,
        parts.config,
        source=parts.source,
        queue=parts.queue,
        targets=parts.targets,
        coordination=parts.coordination,
    )


def verification(
    parts: Parts,
    options: "Options",
    watcher: "Watcher",
    sending: "Sending | None" = None,
    clock: "Clock | None" = None,
) -> "Verification":
    """`sending`: what differs is repaired by it."""
    from cdc.processes.verification import Verification

    def repair(db: str, table: str, keys: "Keys[Key]") -> None:
        assert sending is not None  # noqa: S101 - else it is not given
        sending.send(f"{db}.{table}", keys)

    return Verification(
        parts,
        parts.rows,
        parts.digests,
        options,
        watcher,
        clock=clock,
        repair=repair if sending is not None else None,
    )


def scheduled_verify(parts: Parts, *, metrics: "VerifyMetrics", health: "Health") -> "ScheduledVerify":
    """`parts`: its coordination is used all the time, its queue now and then; each comparison has parts of its own, so that none
    begins with connections that stood idle for hours. The connector file must have `verify`."""
    from cdc.processes.verify import Options
    from cdc.processes.verify_schedule import ScheduledVerify

    config = parts.config
    wanted = config.verify
    assert wanted is not None  # noqa: S101 - who calls has looked
    options = Options(limit=0, rows_per_second=float(wanted.max_rows_per_second))

    def compare(watcher: "Watcher", clock: "Clock") -> "list[TableReport]":
        with Parts(config) as own:
            return verification(own, options, watcher, clock=clock).run(None, ())

    def copies() -> "Copies | None":
        checkpoint = parts.queue.checkpoint()
        return None if checkpoint is None else checkpoint.copies

    return ScheduledVerify(
        wanted,
        parts.coordination,
        compare,
        copies,
        lease_seconds=config.coordinator.lease_seconds,
        metrics=metrics,
        health=health,
    )


def refresh(
    parts: Parts, touched: "Touched", send: "Callable[[str, str, Iterable[Key]], None]"
) -> "list[TableTouched]":
    """Hands the keys of each touched table to `send` (database, table, keys), table by table. Returns the tables whose keys do
    not tell which rows are to be brought to their present state, all of them then: nothing of those is sent. A table that the
    source does not have any more is left out: its rows went with it, through the stream."""
    present = {(table.db, table.table): table for table in parts.source.tables()}
    whole = []
    for table in touched.tables:
        schema = present.get((table.db, table.table))
        if schema is None:
            continue
        # A key that no row was changed under, or that stands in for a primary one, is not in `tables`: it cannot differ.
        if table.whole or (table.key and schema.key and table.key != schema.key):
            whole.append(table)
        else:
            send(table.db, table.table, touched.keys(table))
    return whole
