"""Which tables of which sinks a `cdc verify` compares, and one after the other."""

from collections.abc import Iterator, Sequence

import orjson

from cdc.binlog.digest_port import DigestSource
from cdc.binlog.rows_port import RowSource
from cdc.model.batch import Key
from cdc.model.errors import FatalError, TableRefused, UsageError
from cdc.model.routing import TableFilter, matches
from cdc.processes.dead_letters import pages
from cdc.processes.parts import Parts
from cdc.processes.passing import Passing
from cdc.processes.suspects import Suspects
from cdc.processes.table_sides import Clock, Sides
from cdc.processes.verify import Options, Repair, TableVerifier, Watcher
from cdc.processes.verify_report import TableReport
from cdc.target.port import Target


class Verification:
    """`rows`, `digests`: the source's tables as they are now; `repair`: as of TableVerifier."""

    def __init__(
        self,
        parts: Parts,
        rows: RowSource,
        digests: DigestSource,
        options: Options,
        watcher: Watcher,
        *,
        clock: Clock | None = None,
        repair: Repair | None = None,
    ) -> None:
        self._parts = parts
        self._rows = rows
        self._digests = digests
        self._options = options
        self._watcher = watcher
        self._clock = clock or Clock()
        self._repair = repair

    def run(self, sink: str | None, tables: Sequence[str]) -> list[TableReport]:
        """`sink`: only this one; `tables`: patterns of `db.table`, or of the table's name alone; none: all. A table that cannot
        be compared is reported with its problem; what concerns all tables is raised: UsageError, outages, SinkBehind."""
        chosen = list(self._chosen(sink, tables))
        if not any(listed for _, listed in chosen):
            raise UsageError(
                "no captured table matches the sink's tables", hint="`cdc check FILE` looks at sink.tables"
            )
        return [report for name, listed in chosen for report in self._of_sink(name, listed)]

    def _chosen(self, sink: str | None, patterns: Sequence[str]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
        """(sink, its tables): all of it, before anything is compared."""
        config = self._parts.config
        if sink is not None and sink not in config.all_sinks:
            raise UsageError(f"there is no sink {sink}", hint=f"there are {', '.join(config.all_sinks)}")
        captured = [(table.db, table.table) for table in self._parts.source.tables()]
        if not captured:
            raise TableRefused("the source has no captured table", hint="`cdc check FILE` looks at source.tables")
        unmatched = set(patterns)
        for name in config.all_sinks if sink is None else [sink]:
            if config.all_sinks[name].url.scheme == "memory":
                raise UsageError(
                    f"sink {name} is memory://, which lives inside the process that runs the connector",
                    hint="compare another sink: --sink S",
                )
            applied = TableFilter(config.all_sinks[name].tables)
            wanted = [one for one in captured if applied(*one)]
            if patterns:
                unmatched -= {pattern for pattern in patterns for one in wanted if _matches(pattern, *one)}
                wanted = [one for one in wanted if any(_matches(pattern, *one) for pattern in patterns)]
            yield name, sorted(wanted)
        if unmatched:
            raise UsageError(
                f"no table that is captured and applied matches {', '.join(sorted(unmatched))}",
                hint=f"there are {', '.join(f'{db}.{table}' for db, table in captured[:10])}{' …' * (len(captured) > 10)}",
            )

    def _of_sink(self, sink: str, tables: Sequence[tuple[str, str]]) -> Iterator[TableReport]:
        target = self._parts.target(sink)
        passing = Passing(
            sink,
            self._parts.queue,
            target,
            patience_seconds=self._options.patience_seconds,
            clock=self._clock.now,
            pause=self._clock.pause,
        )
        for db, table in tables:
            report = TableReport(sink, f"{db}.{table}")
            try:
                report.estimated = self._rows.estimated_rows(db, table)
                self._watcher.begins(report)
                self._verifier(db, table, target, passing, report).run()
            except UsageError:
                raise
            except FatalError as error:
                report.problem = error
            self._watcher.ends(report)
            yield report

    def _verifier(self, db: str, table: str, target: Target, passing: Passing, report: TableReport) -> TableVerifier:
        options = self._options
        sides = Sides(db, table, self._rows, target, self._clock)
        suspects = Suspects(
            sides,
            self._parts.source.end,
            passing,
            report,
            parked=lambda: _parked_keys(target, db, table),
            clock=self._clock,
            limit=options.limit,
            values=options.values,
        )
        return TableVerifier(
            sides,
            passing,
            suspects,
            report,
            options,
            watcher=self._watcher,
            clock=self._clock,
            digests=self._digests,
            repair=self._repair,
        )


def _matches(pattern: str, db: str, table: str) -> bool:
    return matches([pattern], f"{db}.{table}") or matches([pattern], table)


def _parked_keys(target: Target, db: str, table: str) -> frozenset[Key]:
    """Of all rows of the table that have dead letters at the target's sink."""
    if not target.dead_letter_count():
        return frozenset()
    letters = (letter for page in pages(target) for letter in page)
    return frozenset(tuple(orjson.loads(one.key)) for one in letters if (one.db, one.table) == (db, table))
