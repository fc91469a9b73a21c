"""Sets of executed GTIDs, MySQL's and MariaDB's, kept up to date for each transaction at the price of one number.

MySQL: `uuid:1-5:7,uuid:tag:1-3` ("GTID Format and Storage"); MariaDB: the last `domain-server-sequence` of each domain
("Global Transaction ID", gtid_binlog_pos). python-mysql-replication's GtidSet copies and sorts itself for each addition, and
refuses tags; hence our own.
"""

import re
import struct
from bisect import bisect_right
from typing import Protocol

from cdc.model.errors import PositionError

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TAG = re.compile(r"[a-z_][a-z0-9_]{0,31}")
_INTERVAL = re.compile(r"(\d+)(?:-(\d+))?")
_MARIADB = re.compile(r"(\d+)-(\d+)-(\d+)")
_SQUEEZE = re.compile(r"\s+")


class Gtids(Protocol):
    """What both kinds can do. `add` takes one transaction's GTID as the server writes it; "" (anonymous) changes nothing.
    `add_range`: of transactions that followed one another; `source` is what stands before the number."""

    def add(self, gtid: str) -> None: ...
    def add_range(self, source: str, first: int, last: int) -> None: ...
    def text(self) -> str: ...
    def contains(self, other: "Gtids") -> bool: ...


class MysqlGtids:
    """For each source (`uuid` or `uuid:tag`) sorted, disjoint half-open intervals."""

    def __init__(self, text: str = "") -> None:
        self._intervals: dict[str, list[list[int]]] = {}
        # The interval that grew last, and the set's text around its end: most transactions make it grow by one more.
        self._growing: list[int] | None = None
        self._growing_source = ""
        self._around: tuple[str, str] | None = None
        for member in filter(None, _SQUEEZE.sub("", text).lower().split(",")):
            self._parse_member(member, text)

    def _parse_member(self, member: str, text: str) -> None:
        uuid, *parts = member.split(":")
        source = uuid
        intervals = 0
        for part in parts:
            match = _INTERVAL.fullmatch(part)
            if match:
                start, end = int(match[1]), int(match[2] or match[1])
                if not 0 < start <= end:
                    raise _malformed(text)
                self.add_interval(source, start, end + 1)
                intervals += 1
            elif _TAG.fullmatch(part):
                source = f"{uuid}:{part}"
            else:
                raise _malformed(text)
        if not _UUID.fullmatch(uuid) or not intervals:
            raise _malformed(text)

    def add(self, gtid: str) -> None:
        source, _, number = gtid.rpartition(":")
        if number:
            gno = int(number)
            if self._growing is not None and source == self._growing_source and gno == self._growing[1]:
                self._grow(self._growing, gno + 1)
            else:
                self.add_interval(source, gno, gno + 1)

    def add_range(self, source: str, first: int, last: int) -> None:
        if self._growing is not None and source == self._growing_source and first == self._growing[1]:
            self._grow(self._growing, last + 1)
        else:
            self.add_interval(source, first, last + 1)

    def _grow(self, interval: list[int], end: int) -> None:
        following = self._intervals[self._growing_source]
        if interval is following[-1] or end < following[bisect_right(following, interval[0], key=_start)][0]:
            interval[1] = end
        else:
            self.add_interval(self._growing_source, interval[0], end)

    def add_interval(self, source: str, start: int, end: int) -> None:
        """Adds start … end-1, merged with what it touches."""
        intervals = self._intervals.setdefault(source, [])
        place = bisect_right(intervals, start, key=_start)
        if place and intervals[place - 1][1] >= start:
            place -= 1
            mine = intervals[place]
            mine[1] = max(mine[1], end)
        else:
            mine = [start, end]
            intervals.insert(place, mine)
        while place + 1 < len(intervals) and intervals[place + 1][0] <= mine[1]:
            mine[1] = max(mine[1], intervals.pop(place + 1)[1])
        self._growing, self._growing_source, self._around = mine, source, None

    def text(self) -> str:
        growing = self._growing
        if growing is None:
            return ""
        if self._around is None or growing[1] - growing[0] <= 2:
            self._around = self._split_around(growing)
        if growing[1] - growing[0] == 1:
            return f"{self._around[0]}{self._around[1]}"
        return f"{self._around[0]}-{growing[1] - 1}{self._around[1]}"

    def _split_around(self, growing: list[int]) -> tuple[str, str]:
        """The set's text before and after the last number of the interval that grows."""
        before: list[str] = []
        after: list[str] = []
        out = before
        uuid = ""
        for source in sorted(self._intervals):
            of, _, tag = source.partition(":")
            # Tags of one uuid follow it without its being written again; `uuid` sorts before `uuid:tag`.
            lead = f":{tag}" if of == uuid else ("," if uuid else "") + source
            uuid = of
            out.append(lead)
            for interval in self._intervals[source]:
                if interval is growing:
                    out.append(f":{interval[0]}")
                    out = after
                else:
                    last = f"-{interval[1] - 1}" if interval[1] - interval[0] > 1 else ""
                    out.append(f":{interval[0]}{last}")
        return "".join(before), "".join(after)

    def contains(self, other: Gtids) -> bool:
        return isinstance(other, MysqlGtids) and all(
            self._covers(source, start, end)
            for source, intervals in other._intervals.items()
            for start, end in intervals
        )

    def _covers(self, source: str, start: int, end: int) -> bool:
        intervals = self._intervals.get(source, [])
        place = bisect_right(intervals, start, key=_start)
        return place > 0 and intervals[place - 1][1] >= end

    def minus(self, other: "MysqlGtids") -> "MysqlGtids":
        """What is in this set and not in `other`."""
        left = MysqlGtids()
        for source, intervals in self._intervals.items():
            for start, end in intervals:
                at = start
                for taken_start, taken_end in other._intervals.get(source, []):
                    if taken_end > at and taken_start < end:
                        if taken_start > at:
                            left.add_interval(source, at, taken_start)
                        at = max(at, taken_end)
                if at < end:
                    left.add_interval(source, at, end)
        return left

    @property
    def has_tags(self) -> bool:
        return any(":" in source for source in self._intervals)

    def encode(self) -> bytes:
        """The set for COM_BINLOG_DUMP_GTID.

        Format: Gtid_set::encode, https://dev.mysql.com/doc/dev/mysql-server/latest/classGtid__set.html: with tags the count
        stands between two bytes of 1, and each UUID is followed by its tag, behind twice the tag's length in one byte.
        """
        tagged = self.has_tags
        count = len(self._intervals)
        out = [struct.pack("<Q", 1 << 56 | count << 8 | 1 if tagged else count)]
        for source, intervals in sorted(self._intervals.items()):
            uuid, _, tag = source.partition(":")
            out.append(bytes.fromhex(uuid.replace("-", "")))
            if tagged:
                out.append(bytes((len(tag) << 1,)) + tag.encode("ascii"))
            out.append(struct.pack("<Q", len(intervals)))
            out.extend(struct.pack("<QQ", start, end) for start, end in intervals)
        return b"".join(out)


def _start(interval: list[int]) -> int:
    return interval[0]


class MariadbGtids:
    """The last GTID of each domain."""

    def __init__(self, text: str = "") -> None:
        self._last: dict[int, tuple[int, int]] = {}
        self._text: str | None = None
        for member in filter(None, _SQUEEZE.sub("", text).split(",")):
            if not _MARIADB.fullmatch(member):
                raise _malformed(text)
            self.add(member)

    def add(self, gtid: str) -> None:
        if gtid:
            domain, server, number = gtid.split("-")
            self._last[int(domain)] = (int(server), int(number))
            self._text = None

    def add_range(self, source: str, first: int, last: int) -> None:
        domain, server = source.split("-")
        self._last[int(domain)] = (int(server), last)
        self._text = None

    def text(self) -> str:
        if self._text is None:
            self._text = ",".join(f"{domain}-{at[0]}-{at[1]}" for domain, at in sorted(self._last.items()))
        return self._text

    def contains(self, other: Gtids) -> bool:
        """Whether each of the other's domains is as far here; a sequence number counts within its domain."""
        return isinstance(other, MariadbGtids) and all(
            domain in self._last and self._last[domain][1] >= number for domain, (_, number) in other._last.items()
        )

    def domains(self) -> frozenset[int]:
        return frozenset(self._last)


def gtids(flavor: str, text: str) -> "MysqlGtids | MariadbGtids":
    """`flavor`: mysql or mariadb. Raises PositionError."""
    return MariadbGtids(text) if flavor == "mariadb" else MysqlGtids(text)


def looks_like_gtids(text: str) -> bool:
    """Whether a `start:` text is a GTID set of either kind; malformed ones of MySQL's kind too."""
    first = _SQUEEZE.sub("", text).lower().split(",")[0]
    return bool(_MARIADB.fullmatch(first) or _UUID.match(first))


def _malformed(text: str) -> PositionError:
    shown = " ".join(text.split())[:80]
    return PositionError(
        f"'{shown}' is not a GTID set",
        hint="write it as MySQL does (uuid:1-5,uuid:7) or as MariaDB does (0-1-100,1-1-5)",
    )
