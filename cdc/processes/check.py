"""`cdc check`: looks at everything that a connector touches, and says what would go wrong, with the fix for each.

To add a check: write a function from `Facts` to findings, and add it to CHECKS at the place where it should run, under the
subject whose outage would make it impossible. It may raise any CdcError: the engine turns that into a finding of its subject.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from cdc.binlog.port import Finding
from cdc.model.config import ConnectorConfig
from cdc.model.errors import CdcError, RetryableError
from cdc.model.routing import TableFilter, matches
from cdc.model.schema import TableSchema
from cdc.processes.parts import Parts


@dataclass(frozen=True, slots=True)
class Facts:
    """`tables`: the captured tables as they stand now; None where the source could not be asked. `sink`: of which sink a
    check of targets is asked, else ""."""

    parts: Parts
    tables: Sequence[TableSchema] | None
    sink: str = ""

    @property
    def config(self) -> ConnectorConfig:
        return self.parts.config

    def sink_tables(self) -> list[TableSchema]:
        applied = TableFilter(self.config.all_sinks[self.sink].tables)
        return [table for table in self.tables or () if applied(table.db, table.table)]


class Check(NamedTuple):
    """`subject`: what it is about; `each_sink`: run once for each sink, with the sink's name as subject."""

    subject: str
    run: Callable[[Facts], Iterable[Finding]]
    each_sink: bool = False


def run_checks(parts: Parts) -> list[Finding]:
    """All findings, in the order of CHECKS. Never raises a CdcError."""
    tables, trouble = _tables(parts)
    findings: list[Finding] = []
    for check in CHECKS:
        for sink in parts.config.all_sinks if check.each_sink else ("",):
            findings += _run(check, Facts(parts, tables, sink), findings)
    if trouble is not None:
        findings += _unless_known(_of_error("source", trouble), trouble, findings)
    return findings


def _tables(parts: Parts) -> tuple[Sequence[TableSchema] | None, CdcError | None]:
    try:
        return parts.source.tables(), None
    except CdcError as error:
        return None, error


def _run(check: Check, facts: Facts, so_far: Sequence[Finding]) -> list[Finding]:
    subject = f"sink {facts.sink}" if facts.sink else check.subject
    try:
        return list(check.run(facts))
    except CdcError as error:
        return _unless_known(_of_error(subject, error), error, so_far)


def _of_error(subject: str, error: CdcError) -> Finding:
    return Finding("error", subject, error.message, error.hint)


def _unless_known(finding: Finding, error: CdcError, so_far: Sequence[Finding]) -> list[Finding]:
    """A part that is down is one finding, however many checks it stops."""
    errors = [known for known in so_far if known.level == "error" and known.subject == finding.subject]
    known = errors if isinstance(error, RetryableError) else [e for e in errors if e.text == finding.text]
    return [] if known else [finding]


def _source(facts: Facts) -> Iterable[Finding]:
    return facts.parts.source.check()


def _by_table(facts: Facts) -> Iterator[Finding]:
    """That `tables` match something is the source's own finding."""
    names = [table.name for table in facts.tables or ()]
    for pattern in facts.config.source.by_table:
        if names and not any(matches([pattern], name) for name in names):
            yield Finding(
                "warning", "by_table", f"{pattern} matches no captured table", "correct the pattern, or take it out"
            )


def _columns(facts: Facts) -> Iterator[Finding]:
    """A mask with a typing error would let out what it should hide: so where it names a table, that is an error."""
    if not facts.tables:
        return
    columns = [f"{table.name}.{column.name}" for table in facts.tables for column in table.columns]
    keys = {f"{table.name}.{column}" for table in facts.tables for column in table.key}
    source = facts.config.source
    for key, patterns in (("exclude_columns", source.exclude_columns), ("mask_columns", source.mask_columns)):
        for pattern in patterns:
            if not any(matches([pattern], column) for column in columns):
                anywhere = "*" in pattern.rpartition(".")[0]
                yield Finding(
                    "warning" if anywhere else "error",
                    key,
                    f"{pattern} matches no column, so nothing is hidden by it",
                    "write db.table.column as the server spells it",
                )
            for column in sorted(keys):
                if matches([pattern], column):
                    yield _key_hidden(key, column)


def _key_hidden(key: str, column: str) -> Finding:
    if key == "mask_columns":
        return Finding(
            "warning",
            "source",
            f"mask_columns hides the key column {column}",
            "rows at the target have its hash as key",
        )
    return Finding("error", key, f"the key column {column} is taken away", "rows need their key: mask it instead")


def _further_unique_keys(facts: Facts) -> Iterator[Finding]:
    tables = facts.parts.source.tables_with_further_unique_keys()
    if tables and facts.config.lanes > 1:
        shown = ", ".join(tables[:5]) + (f" and {len(tables) - 5} more" if len(tables) > 5 else "")
        yield Finding("ok", "by_table", f"a further unique key sends the whole table through one lane: {shown}")


def _queue(facts: Facts) -> Iterator[Finding]:
    for line in facts.parts.queue.check():
        yield Finding("ok", "queue", line)


def _lanes(facts: Facts) -> Iterator[Finding]:
    """What an earlier run left in the queue must fit what the file asks for now."""
    config = facts.config
    checkpoint = facts.parts.queue.checkpoint()
    if checkpoint is None or not checkpoint.lanes:
        return
    numbers = {lane.rpartition("/")[2] for lane in checkpoint.lanes}
    if config.order == "transaction" and len(checkpoint.lanes) > 1:
        yield Finding(
            "error",
            "queue",
            f"order: transaction needs one lane, the queue's generation {checkpoint.generation} has {len(checkpoint.lanes)}",
            "run `cdc run --drain` with the old order first; the change then begins a new generation",
        )
    elif any(int(number) >= config.lanes for number in numbers if number.isdecimal()):
        yield Finding(
            "warning",
            "queue",
            f"the queue's generation {checkpoint.generation} has {len(numbers)} lanes, the file says {config.lanes}",
            "another number of lanes begins a new generation, entered when the old lanes are drained",
        )


def _coordination(facts: Facts) -> Iterator[Finding]:
    for line in facts.parts.coordination.check():
        yield Finding("ok", "coordination", line)


def _target(facts: Facts) -> Iterator[Finding]:
    target = facts.parts.target(facts.sink)
    problems = target.inspect(facts.sink_tables())
    subject = f"sink {facts.sink}"
    yield Finding("ok", subject, target.describe())
    for table, columns in problems.items():
        for column in columns:
            place = f"{table}.{column.column}" if column.column else table
            if column.severity == "error":
                yield Finding("error", subject, f"{place}: {column.problem}", column.hint)
            else:
                yield Finding("ok", subject, f"{place}: {column.problem}")


def _dead_letters(facts: Facts) -> Iterator[Finding]:
    if count := facts.parts.target(facts.sink).dead_letter_count():
        yield Finding(
            "warning",
            f"sink {facts.sink}",
            f"{count} dead letters wait",
            "look with `cdc dlq list`, then retry or drop them",
        )


def _nothing_to_apply(facts: Facts) -> Iterator[Finding]:
    if facts.tables and not facts.sink_tables():
        yield Finding(
            "warning", f"sink {facts.sink}", "no captured table matches the sink's tables", "correct the patterns"
        )


CHECKS: tuple[Check, ...] = (
    Check("source", _source),
    Check("source", _by_table),
    Check("source", _columns),
    Check("source", _further_unique_keys),
    Check("queue", _queue),
    Check("queue", _lanes),
    Check("coordination", _coordination),
    Check("sink", _target, each_sink=True),
    Check("sink", _nothing_to_apply, each_sink=True),
    Check("sink", _dead_letters, each_sink=True),
)
