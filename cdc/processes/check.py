"""`cdc check`: looks at everything that a connector touches, and says what would go wrong, with the fix for each.

To add a check: write a function from `Facts` to findings, and add it to CHECKS at the place where it should run, under the part
whose outage would make it impossible. It may raise any CdcError: the engine turns that into a finding of its part. Give each new
subject a line in docs/doctor.md. Nothing is written anywhere.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import NamedTuple

from cdc.binlog.port import TableSize
from cdc.model.errors import CdcError, RetryableError
from cdc.model.finding import Finding, named
from cdc.model.routing import matches
from cdc.model.schema import TableSchema
from cdc.processes import check_across
from cdc.processes.check_facts import Facts
from cdc.processes.estimates import message_bytes
from cdc.processes.parts import Parts
from cdc.target.port import Expected


class Check(NamedTuple):
    """`part`: what it is about (`target`: run once for each sink). `needs`: another part that must answer too."""

    part: str
    run: Callable[[Facts], Iterable[Finding]]
    needs: str = ""


class _Told(NamedTuple):
    """Of one part. `troubled`: some check could not be done."""

    findings: Sequence[Finding]
    troubled: bool


def run_checks(parts: Parts) -> list[Finding]:
    """All findings, part by part. Never raises a CdcError. The parts are asked side by side, since one that does not answer
    takes its time to be given up; one that is down is asked once."""
    tables, sizes, trouble = _tables(parts)
    facts = Facts(parts, tables, sizes)
    asked = {"source": facts, "queue": facts, "coordination": facts}
    asked |= {f"sink {sink}": replace(facts, sink=sink) for sink in parts.config.all_sinks}

    def ask(part: str) -> _Told:
        if part == "source" and trouble is not None:
            return _Told([replace(found, part=part) for found in _source_in_trouble(parts, trouble)], True)
        return _told(part, asked[part], needing=False)

    with ThreadPoolExecutor(max_workers=len(asked)) as pool:
        told = dict(zip(asked, pool.map(ask, asked), strict=True))
    findings: list[Finding] = []
    troubled = frozenset(part for part, one in told.items() if one.troubled)
    for part, one in told.items():
        findings += one.findings
        if part not in troubled:
            findings += _told(part, asked[part], needing=True, without=troubled).findings
    return findings


def _told(part: str, facts: Facts, *, needing: bool, without: frozenset[str] = frozenset()) -> _Told:
    """What the checks say that need no other part, or those that do, and not one of `without`."""
    kind = "target" if facts.sink else part
    findings: list[Finding] = []
    troubled = False
    for check in CHECKS:
        if check.part != kind or bool(check.needs) != needing or check.needs in without:
            continue
        try:
            for found in check.run(facts):
                findings.append(replace(found, part=part))  # noqa: PERF401 - what came before an error counts
        except CdcError as error:
            findings += _unless_known(Finding("error", kind, error.message, error.hint, part), findings)
            troubled = True
            if isinstance(error, RetryableError):
                break
    return _Told(findings, troubled)


def _source_in_trouble(parts: Parts, trouble: CdcError) -> Sequence[Finding]:
    """What the source's own checks say of it, else `trouble` itself."""
    try:
        findings = parts.source.check()
    except CdcError:
        findings = ()
    if any(finding.level == "error" for finding in findings):
        return findings
    return [*findings, Finding("error", "source", trouble.message, trouble.hint)]


def _tables(parts: Parts) -> tuple[Sequence[TableSchema] | None, Mapping[str, TableSize], CdcError | None]:
    try:
        return parts.source.tables(), parts.source.sizes(), None
    except CdcError as error:
        return None, {}, error


def _unless_known(finding: Finding, so_far: Sequence[Finding]) -> list[Finding]:
    """What stops several checks is one finding."""
    known = [one for one in so_far if (one.level, one.text) == ("error", finding.text)]
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
            "mask_columns",
            f"mask_columns hides the key column {column}",
            "rows at the target have its hash as key",
        )
    return Finding("error", key, f"the key column {column} is taken away", "rows need their key: mask it instead")


def _further_unique_keys(facts: Facts) -> Iterator[Finding]:
    tables = facts.parts.source.tables_with_further_unique_keys()
    if tables and facts.config.lanes > 1:
        text = f"a further unique key sends the whole table through one lane: {named(tables)}"
        yield Finding("ok", "by_table", text)


def _queue(facts: Facts) -> Iterable[Finding]:
    return facts.parts.queue.findings(message_bytes(facts.sizes.values()))


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
            "lanes",
            f"order: transaction needs one lane, the queue's generation {checkpoint.generation} has {len(checkpoint.lanes)}",
            "run `cdc run --drain` with the old order first; the change then begins a new generation",
        )
    elif any(int(number) >= config.lanes for number in numbers if number.isdecimal()):
        yield Finding(
            "warning",
            "lanes",
            f"the queue's generation {checkpoint.generation} has {len(numbers)} lanes, the file says {config.lanes}",
            "another number of lanes begins a new generation, entered when the old lanes are drained",
        )


def _coordination(facts: Facts) -> Iterable[Finding]:
    return facts.parts.coordination.findings()


def _target(facts: Facts) -> Iterator[Finding]:
    target = facts.parts.target(facts.sink)
    problems = target.inspect(facts.sink_tables())
    yield Finding("ok", "target", target.describe())
    for table, columns in problems.items():
        for column in columns:
            place = f"{table}.{column.column}" if column.column else table
            if column.severity == "error":
                yield Finding("error", "columns", f"{place}: {column.problem}", column.hint)
            else:
                yield Finding("ok", "columns", f"{place}: {column.problem}")


def _target_findings(facts: Facts) -> Iterable[Finding]:
    tables = facts.sink_tables()
    unique = facts.parts.source.unique_keys() if tables else {}
    lanes = facts.config.lanes
    return facts.parts.target(facts.sink).findings(
        [Expected(table, tuple(unique.get(table.name, ())), lanes) for table in tables]
    )


def _dead_letters(facts: Facts) -> Iterator[Finding]:
    if count := facts.parts.target(facts.sink).dead_letter_count():
        yield Finding(
            "warning", "dead letters", f"{count} dead letters wait", "look with `cdc dlq list`, then retry or drop them"
        )


def _nothing_to_apply(facts: Facts) -> Iterator[Finding]:
    if facts.tables and not facts.sink_tables():
        yield Finding("warning", "sink.tables", "no captured table matches the sink's tables", "correct the patterns")


CHECKS: tuple[Check, ...] = (
    Check("source", _source),
    Check("source", _by_table),
    Check("source", _columns),
    Check("source", _further_unique_keys),
    Check("source", check_across.first_copy, needs="queue"),
    Check("queue", _queue),
    Check("queue", _lanes),
    Check("queue", check_across.large_values, needs="source"),
    Check("source", check_across.lag, needs="queue"),
    Check("coordination", _coordination),
    Check("target", _target),
    Check("target", _target_findings),
    Check("target", _nothing_to_apply),
    Check("target", _dead_letters),
)
