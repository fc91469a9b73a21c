"""What to do about a statement in the binlog: pass it over, say so, or stop with the way out."""

from typing import NamedTuple

from cdc.binlog.history.context import TableName
from cdc.binlog.statements import Effect
from cdc.model.errors import NotUnderstood
from cdc.observe.logs import fields, get_logger

log = get_logger(__name__)


class Case(NamedTuple):
    """`words`: how the statement begins. `tables`: what it names, as far as that is known; `captured`: those that are
    captured. `place` and `behind`: where it stands and where it ends, as file:offset."""

    effect: Effect
    words: str
    tables: tuple[TableName, ...]
    captured: tuple[TableName, ...]
    place: str
    behind: str


def judge(case: Case) -> None:
    """Raises NotUnderstood where the statement changed rows of captured tables without row events, or may have. Changes of shape
    are the schema history's."""
    match case.effect:
        case Effect.REPLACE_ROWS if case.captured:
            raise NotUnderstood(
                f"{case.words} takes rows of {_names(case.captured)} away, or brings some, without saying which",
                hint=f"copy the table anew, then `cdc replay --from {case.behind}`",
            )
        case Effect.ROWS_BY_STATEMENT if case.captured or not case.tables:
            raise NotUnderstood(
                f"{case.words} is logged as a statement, so the rows that it changed are not known",
                hint="set binlog_format=ROW in the session that wrote it; copy what it changed by hand, then "
                f"`cdc replay --from {case.behind}`",
            )
        case Effect.ROWS_BY_STATEMENT:
            # Triggers of those tables may write to captured ones; that is why it is said.
            _passed_over(case)
        case Effect.UNKNOWN:
            raise NotUnderstood(
                f"a statement that begins with {case.words} is not understood",
                hint=f"if it leaves the captured tables as they are, `cdc replay --from {case.behind}` passes it over",
            )


def _passed_over(case: Case) -> None:
    names = _names(case.captured or case.tables)
    log.warning(
        f"{case.words} of {names} at {case.place} is passed over: the sinks do not see it",
        extra=fields("source.statement_passed", place=case.place, tables=names),
    )


def _names(tables: tuple[TableName, ...]) -> str:
    return ", ".join(f"{db}.{table}".rstrip(".") for db, table in tables)
