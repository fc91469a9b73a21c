"""Looks for a place in files, newest first: only heads are read until the file is found."""

from collections.abc import Iterable
from datetime import UTC, datetime

from cdc.binlog.gtid import MariadbGtids, MysqlGtids
from cdc.binlog.scan import Scanner
from cdc.model.checkpoint import SourcePoint
from cdc.model.errors import PositionError

Wanted = MysqlGtids | MariadbGtids


def after_gtids(scanner: Scanner, newest_first: Iterable[str], wanted: Wanted) -> SourcePoint | None:
    """Where the first transaction begins that is not in `wanted`, or the end; None where all files begin after one."""
    for name in newest_first:
        head = scanner.head(name)
        if wanted.contains(type(wanted)(head.gtid_set)):
            return _first_beyond(scanner, head, wanted)
    return None


def _first_beyond(scanner: Scanner, head: SourcePoint, wanted: Wanted) -> SourcePoint:
    last = head
    for group in scanner.groups(head):
        if not wanted.contains(type(wanted)(group.end.gtid_set)):
            return group.start
        last = group.end
    return last


def begun_by(scanner: Scanner, newest_first: Iterable[str], moment: datetime) -> SourcePoint | None:
    """The head of the newest file that was begun at that time or before."""
    for name in newest_first:
        head = scanner.head(name)
        if head.file_created <= moment.timestamp():
            return head
    return None


def committed_since(scanner: Scanner, head: SourcePoint, moment: datetime) -> SourcePoint:
    """The first boundary from `head` on after which everything was committed at that time or later, or the end."""
    wanted_us = int(moment.timestamp() * 1_000_000)
    last = head
    for group in scanner.groups(head):
        if group.commit_us >= wanted_us:
            return group.start
        last = group.end
    return last


def past_moment(text: str) -> datetime:
    """An ISO time, without zone in UTC. Raises PositionError: none, or in the future."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise PositionError(f"'{text}' is not an ISO time", hint="write it like 2026-05-01T13:00:00Z") from None
    moment = moment.replace(tzinfo=moment.tzinfo or UTC)
    if moment > datetime.now(UTC):
        raise PositionError(f"{text} lies in the future (it is read as {moment.isoformat()})", hint="use latest")
    return moment
