"""PyMySQL's errors → ours, by the table of kinds in cdc.connect.mysql and a hint for the numbers that need their own.

The server's words are passed on without the values that they quote: row values are personal data.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pymysql
from pymysql.constants import ER

from cdc.connect.mysql import Kind, classify, error_code, reason
from cdc.model.errors import CdcError, RowRefused, TargetBusy, TargetRefused, TargetUnavailable
from cdc.target.sql.names import shown

# What a driver call can raise: its own errors, those of the socket below it, and for text that is not Unicode.
DRIVER_ERRORS = (pymysql.err.MySQLError, OSError, EOFError, UnicodeEncodeError)

ERRORS: Mapping[Kind, type[CdcError]] = {
    Kind.UNAVAILABLE: TargetUnavailable,
    Kind.BUSY: TargetBusy,
    Kind.REFUSED: TargetRefused,
    Kind.ROW: RowRefused,
    Kind.BINLOG: TargetRefused,
}

_HINTS: Mapping[type[CdcError], str] = {
    TargetUnavailable: "it is tried again with back-off; look at the server's log if it lasts",
    TargetBusy: "the transaction was rolled back and is tried again",
    RowRefused: "make the target accept it, or set sink.on_error: dead_letter",
    TargetRefused: "mend what is named, then start again; `cdc check` looks at all of it",
}

_RIGHTS = (
    "grant SELECT, INSERT, UPDATE, DELETE, CREATE and CREATE TEMPORARY TABLES on the target's database, and for schema changes"
    " ALTER and DROP"
)
_HINT_OF: Mapping[int, str] = {
    **dict.fromkeys((ER.DBACCESS_DENIED_ERROR, ER.TABLEACCESS_DENIED_ERROR, ER.COLUMNACCESS_DENIED_ERROR), _RIGHTS),
    ER.ACCESS_DENIED_ERROR: "check user, password and tls in sink.url and sink.tls",
    ER.BAD_DB_ERROR: "create the database, or correct sink.url or sink.table",
    ER.NO_SUCH_TABLE: "make it, or set sink.create_tables: true",
    ER.BAD_FIELD_ERROR: "the target's table has changed: restart the sink, and `cdc check` says what is missing",
    1665: "set the target's binlog_format to ROW or MIXED: InnoDB writes no statements to it under READ COMMITTED",
    ER.RECORD_FILE_FULL: "make room on the target's disk; it is tried again with back-off",
    ER.DISK_FULL: "make room on the target's disk; it is tried again with back-off",
}

# The messages that quote a row's value: "Duplicate entry 'x' for key 't.u'", "Incorrect integer value: 'x' for column 'c'".
# What is quoted may hold quotes itself, so all up to the last `' for` goes.
_QUOTED_VALUE = re.compile(r"(entry|value:?) '.*' (?=for )", re.IGNORECASE | re.DOTALL)
_VALUE_AT_END = re.compile(r"(value:?) '.*'", re.IGNORECASE | re.DOTALL)


def mapped(error: BaseException, place: str = "") -> CdcError:
    """Our error for one of DRIVER_ERRORS; `place` names what was tried."""
    where = f" ({shown(place)})" if place else ""
    if isinstance(error, UnicodeEncodeError):
        return RowRefused(f"a text is not valid Unicode{where}", hint=_HINTS[RowRefused])
    kind = ERRORS[classify(error)]
    return kind(f"{without_values(shown(reason(error)))}{where}", hint=_HINT_OF.get(error_code(error), _HINTS[kind]))


def without_values(words: str) -> str:
    words = _QUOTED_VALUE.sub(r"\1 ", words)
    return _VALUE_AT_END.sub(r"\1", words)


@contextmanager
def mapping(place: str = "") -> Iterator[None]:
    """Everything that the driver raises within leaves as ours."""
    try:
        yield
    except DRIVER_ERRORS as error:
        raise mapped(error, place) from None


def is_duplicate(error: BaseException) -> bool:
    """Whether a statement failed on a unique index."""
    return error_code(error) in {ER.DUP_ENTRY, ER.DUP_UNIQUE, ER.DUP_KEY, 1586}
