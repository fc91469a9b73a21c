"""What a comparison found, as values: by sink and table, with the rows that differ."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from cdc.model.change import Row, Value
from cdc.model.errors import CdcError

Kind = Literal["missing", "extra", "different"]


@dataclass(frozen=True, slots=True)
class Difference:
    """One row that stood still and was not the same. `key` by column name; `columns`: those that differ, of a row that both sides
    have. `source`, `target`: the row's values there, only where they were asked for. `waits`: it has dead letters at the sink."""

    kind: Kind
    key: Row
    columns: tuple[str, ...] = ()
    source: Row | None = None
    target: Row | None = None
    waits: bool = False


@dataclass(slots=True)
class TableReport:
    """Counts are whole, `differences` only the first ones. `rows`: of the source that were looked at. `missing`, `extra` (at the
    target), `different`: rows that stood still and are not the same, without those of `waiting`, which have dead letters.
    `unsettled`: rows that changed at every look. `problem`: why the table could not be compared (to its end).
    `note`: what is to be known beside that."""

    sink: str
    table: str
    estimated: int = 0
    rows: int = 0
    missing: int = 0
    extra: int = 0
    different: int = 0
    waiting: int = 0
    unsettled: int = 0
    seconds: float = 0.0
    differences: list[Difference] = field(default_factory=list)
    problem: CdcError | None = None
    note: str = ""

    @property
    def unequal(self) -> int:
        """How many rows are certain not to be the same."""
        return self.missing + self.extra + self.different + self.waiting

    @property
    def equal(self) -> bool:
        return self.problem is None and self.unequal == 0

    @property
    def rows_per_second(self) -> float:
        return self.rows / self.seconds if self.seconds else 0.0

    def add(self, difference: Difference, limit: int) -> None:
        if difference.waits:
            self.waiting += 1
        elif difference.kind == "missing":
            self.missing += 1
        elif difference.kind == "extra":
            self.extra += 1
        else:
            self.different += 1
        if len(self.differences) < limit:
            self.differences.append(difference)


def all_equal(reports: Sequence[TableReport]) -> bool:
    return all(report.equal for report in reports)


def named_key(columns: Sequence[str], key: Sequence[Value]) -> Row:
    """A key that was altered in between may have other columns by now."""
    return dict(zip(columns, key, strict=False))
