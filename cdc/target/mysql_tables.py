"""What the MySQL target must know of a table beyond the shared plan: unique indexes, generated columns, engine, collations."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cdc.model.errors import TargetRefused
from cdc.model.schema import Column, TableSchema
from cdc.target.mysql_literals import Encoder, encoders
from cdc.target.mysql_session import Session
from cdc.target.port import ColumnFinding
from cdc.target.sql.dialects import MYSQL
from cdc.target.sql.losses import folds_case
from cdc.target.sql.names import TargetName, quote, shown
from cdc.target.sql.plan import Planner, TablePlan

_INDEXES = """
SELECT INDEX_NAME, COLUMN_NAME, SUB_PART FROM information_schema.STATISTICS
WHERE TABLE_SCHEMA = COALESCE(%(schema)s, DATABASE()) AND TABLE_NAME = %(table)s AND NON_UNIQUE = 0
"""
_COLUMNS = """
SELECT COLUMN_NAME, COALESCE(GENERATION_EXPRESSION, ''), COLLATION_NAME FROM information_schema.COLUMNS
WHERE TABLE_SCHEMA = COALESCE(%(schema)s, DATABASE()) AND TABLE_NAME = %(table)s ORDER BY ORDINAL_POSITION
"""
_ENGINE = """
SELECT t.ENGINE, e.TRANSACTIONS FROM information_schema.TABLES AS t
LEFT JOIN information_schema.ENGINES AS e ON e.ENGINE = t.ENGINE
WHERE t.TABLE_SCHEMA = COALESCE(%(schema)s, DATABASE()) AND t.TABLE_NAME = %(table)s
"""


@dataclass(frozen=True, slots=True)
class TargetTable:
    """A plan, and how its rows are written.

    `encode`: one encoder for each source column. `written`: indexes of the columns that are written (generated ones are
    the target's to compute). `key_columns`: `a` or `(a,b)`, quoted. `other_unique`: there is a unique index besides the
    primary key. `stored_columns`: all quoted columns of the target that are not generated, ours or not.
    """

    plan: TablePlan
    encode: tuple[Encoder, ...]
    written: tuple[int, ...]
    key_columns: str
    other_unique: bool
    stored_columns: tuple[str, ...]

    @property
    def key_encode(self) -> tuple[Encoder, ...]:
        return tuple(self.encode[index] for index in self.plan.key_indexes)

    def __str__(self) -> str:
        return shown(str(self.plan.name))


@dataclass(frozen=True, slots=True)
class _Facts:
    primary: frozenset[str]
    other_unique: bool
    generated: frozenset[str]
    collations: dict[str, str | None]
    engine: str | None
    transactional: bool


class Tables:
    """The target's tables for one session; not thread-safe."""

    def __init__(self, planner: Planner, session: Session) -> None:
        self.planner = planner
        self._session = session
        self._tables: dict[str, TargetTable] = {}

    def table(self, schema: TableSchema) -> TargetTable:
        """Made where it is missing and the sink says so; raises TargetRefused like Planner.plan."""
        fingerprint = schema.fingerprint()
        table = self._tables.get(fingerprint)
        if table is None:
            table = self._tables[fingerprint] = self._look(self.planner.plan(schema))
        return table

    def name(self, db: str, table: str) -> TargetName:
        return self.planner.name(db, table)

    def forget(self) -> None:
        self.planner.forget()
        self._tables.clear()

    def findings(self, schema: TableSchema) -> Sequence[ColumnFinding]:
        """The shared findings, and those that only MySQL has."""
        found = list(self.planner.findings(schema))
        facts = self._facts(self.planner.name(schema.db, schema.table))
        if facts.collations:
            known = {finding.column for finding in found if finding.severity == "error"}
            found += [finding for finding in _findings(schema, facts) if finding.column not in known]
        found += _loose(schema, facts)
        return tuple(found)

    def _look(self, plan: TablePlan) -> TargetTable:
        facts = self._facts(plan.name)
        for finding in _findings(plan.schema, facts):
            raise TargetRefused(
                f"column {shown(finding.column)} of the target's table {shown(str(plan.name))}: {finding.problem}",
                hint=finding.hint,
            )
        key = ",".join(plan.quoted_key)
        return TargetTable(
            plan=plan,
            encode=encoders(plan),
            written=tuple(i for i, column in enumerate(plan.columns) if column.casefold() not in facts.generated),
            key_columns=key if len(plan.key) == 1 else f"({key})",
            other_unique=facts.other_unique,
            stored_columns=tuple(
                quote(MYSQL, name) for name in facts.collations if name.casefold() not in facts.generated
            ),
        )

    def _facts(self, name: TargetName) -> _Facts:
        place = {"schema": name.schema, "table": name.table}
        indexes: dict[str, set[str]] = {}
        for index, column, prefix in self._session.rows(_INDEXES, place):
            # An expression, or a part of a column, is no key of ours.
            part = str(column).casefold() if column is not None and prefix is None else "\0"
            indexes.setdefault(str(index), set()).add(part)
        columns = self._session.rows(_COLUMNS, place)
        engines = self._session.rows(_ENGINE, place)
        engine, transactions = engines[0] if engines else (None, None)
        return _Facts(
            primary=frozenset(indexes.pop("PRIMARY", ())),
            other_unique=bool(indexes),
            generated=frozenset(str(column).casefold() for column, generated, _ in columns if generated),
            collations={str(column): collation for column, _, collation in columns},
            engine=engine,
            transactional=transactions == "YES",
        )


def _findings(schema: TableSchema, facts: _Facts) -> Iterator[ColumnFinding]:
    listed = ", ".join(schema.key)
    if facts.primary != frozenset(column.casefold() for column in schema.key):
        # ON DUPLICATE KEY UPDATE, row locks and our deletes all go by the primary key.
        yield ColumnFinding(
            listed,
            "the target's primary key is not on exactly the source's key",
            f"make ({listed}) the table's primary key",
        )
    if not facts.transactional:
        yield ColumnFinding(listed, f"the engine {facts.engine} has no transactions", "ALTER TABLE … ENGINE = InnoDB")
    folded = {column.casefold(): collation for column, collation in facts.collations.items()}
    for name in schema.key:
        column = schema.column(name)
        problem = _key_problem(column, folded.get(name.casefold()))
        if problem:
            yield ColumnFinding(name, *problem)


def _loose(schema: TableSchema, facts: _Facts) -> Iterator[ColumnFinding]:
    """Columns that compare in another way than the source's, keys aside. A table that is not there gets what suits best."""
    folded = {column.casefold(): collation for column, collation in facts.collations.items()}
    named = []
    for column in schema.columns:
        there = folded.get(column.name.casefold())
        differs = there is not None and column.collation is not None and _order(there) != _order(column.collation)
        if column.name not in schema.key and differs and folds_case(column):
            named.append(column.name)
    if named:
        problem = "compares by another collation than the source's, so that other texts are equal here"
        yield ColumnFinding(", ".join(named), problem, "give it the source's collation where that matters", "note")


def _key_problem(column: Column, target: str | None) -> tuple[str, str] | None:
    """Whether two rows of the source could be one at the target, or none be found again."""
    if target is None or column.collation is None or keeps_apart(column.collation, target):
        return None
    return (
        f"its collation {target} may take for equal what the source's {column.collation} keeps apart",
        f"give it the source's collation, or utf8mb4{'_0900' if pads(column.collation) is False else ''}_bin",
    )


def keeps_apart(source: str, target: str) -> bool:
    """Whether every two texts that `source` tells apart are told apart by `target`."""
    if _order(source) == _order(target):
        return True
    # A binary collation tells all apart, but for trailing spaces where it pads.
    return _order(target).endswith("bin") and (pads(source) or not pads(target))


def pads(collation: str) -> bool:
    """Whether trailing spaces do not count (MySQL manual, "Collation Pad Attributes"; MariaDB: names with _nopad_)."""
    return not ("_0900_" in collation or "nopad" in collation or collation == "binary")


def _order(collation: str) -> str:
    """The name without the character set where that does not matter: utf8, utf8mb3 and utf8mb4 order alike."""
    for charset in ("utf8mb4_", "utf8mb3_", "utf8_"):
        if collation.startswith(charset):
            return collation.removeprefix(charset)
    return collation
