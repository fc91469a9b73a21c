"""Checks that need more than one part of a connector: what the source keeps against the checkpoint and a first copy, what its
rows may become against the queue. From `Facts` to findings, as cdc.processes.check says."""

from collections.abc import Iterator, Mapping

from cdc.binlog.port import TableSize
from cdc.model.copies import Copies
from cdc.model.finding import Finding, named
from cdc.model.routing import matches
from cdc.processes.check_facts import Facts
from cdc.processes.estimates import first_copy_seconds, largest_message_bytes, spoken

_LITTLE_LEFT = 0.25
_MUCH_OF_RETENTION = 0.5


def lag(facts: Facts) -> Iterator[Finding]:
    """Where the checkpoint lies in what the source still has; that it is gone is an error of the source's."""
    checkpoint = facts.parts.queue.checkpoint()
    if checkpoint is None:
        return
    source, point = facts.parts.source, checkpoint.point
    behind = source.bytes_behind(point.position)
    left = source.seconds_until_purged(point.file)
    kept = source.retention()
    text = f"the checkpoint {point.position} is {behind / 2**20:,.0f} MiB behind the source's end"
    if left is not None and kept.seconds is not None and left < _LITTLE_LEFT * kept.seconds:
        yield Finding(
            "warning",
            "lag",
            f"{text}, and its file may be purged in {spoken(left)}",
            "let the reader run, or raise binlog_expire_logs_seconds at the source (MariaDB: or expire_logs_days)",
        )
    elif kept.total_bytes is not None and behind > _MUCH_OF_RETENTION * kept.total_bytes:
        yield Finding(
            "warning",
            "lag",
            f"{text}, which keeps no more than {kept.total_bytes / 2**20:,.0f} MiB of binlog",
            "let the reader run, or raise max_binlog_total_size at the source",
        )
    else:
        until = "" if left is None else f"; its file is kept for {spoken(left)} more"
        yield Finding("ok", "lag", text + until)


def first_copy(facts: Facts) -> Iterator[Finding]:
    """While tables are copied the stream goes on, but a reader that is stopped halfway must find its place again. Said as long as
    there is something to copy, and before the connector has begun."""
    checkpoint = facts.parts.queue.checkpoint()
    copies = None if checkpoint is None else checkpoint.copies
    wanted = facts.config.source.start == "snapshot"
    sizes = facts.sizes if copies is None else _left(facts.sizes, copies, new=wanted and copies.step > 0)
    rows = sum(size.rows for size in sizes.values())
    if not rows:
        return
    seconds = first_copy_seconds(sizes.values())
    text = f"of about {rows:,} rows takes about {spoken(seconds)}"
    if copies is not None:
        text = f"what is left {text}"
    kept = facts.parts.source.retention().seconds
    if (wanted or copies is not None) and kept is not None and seconds > _MUCH_OF_RETENTION * kept:
        yield Finding(
            "warning",
            "first copy",
            f"{text}, the source keeps its binlog for {spoken(kept)}: a copy that is interrupted may lose its place",
            f"SET GLOBAL binlog_expire_logs_seconds={round(4 * seconds)} or more, until it is done",
        )
    else:
        yield Finding("ok", "first copy", text)


def _left(sizes: Mapping[str, TableSize], copies: Copies, *, new: bool) -> Mapping[str, TableSize]:
    """Of what is still to be copied; `new`: of tables too of which there was no copy yet."""
    under_way = {copy.name: 1 - min(copy.rows / copy.estimated, 1) if copy.estimated else 1.0 for copy in copies.tables}
    known = {*copies.done, *copies.given_up}
    shares = {name: under_way.get(name, 1.0 if new and name not in known else 0.0) for name in sizes}
    return {
        name: TableSize(round(share * sizes[name].rows), round(share * sizes[name].row_bytes))
        for name, share in shares.items()
        if share
    }


def large_values(facts: Facts) -> Iterator[Finding]:
    """No value is longer than what a client can send in one statement, nor much longer than that by any other way."""
    hidden = facts.config.source.exclude_columns
    columns = [
        f"{table}.{column}"
        for table, size in facts.sizes.items()
        for column in size.large
        if not matches(hidden, f"{table}.{column}")
    ]
    if not columns:
        return
    packet, limit = facts.parts.source.largest_packet(), facts.config.queue.max_message_bytes
    needed = largest_message_bytes(packet)
    if needed > limit:
        yield Finding(
            "warning",
            "max_allowed_packet",
            f"the source takes values of up to {packet / 2**20:g} MiB ({named(columns)}), whose change events may have"
            f" {needed / 2**20:,.0f} MiB; queue.max_message_bytes is {limit / 2**20:g} MiB, and a larger one stops the reader",
            f"set queue.max_message_bytes to {needed}, lower max_allowed_packet, or leave the columns out (exclude_columns)",
        )
    else:
        yield Finding("ok", "max_allowed_packet", f"{packet / 2**20:g} MiB: every value fits a message")
