"""psycopg's errors → ours, by one literal table of SQLSTATEs (PostgreSQL manual, appendix A).

No message of the server's is passed on where it may quote values: row values are personal data. What is said is the
condition's name, the table, column and constraint.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import psycopg

from cdc.model.errors import CdcError, RowRefused, TargetBusy, TargetRefused, TargetUnavailable
from cdc.target.sql.names import shown

# Longest prefix wins: whole state, then its first three characters, then its class.
BY_STATE: Mapping[str, type[CdcError]] = {
    "01": TargetRefused,
    "02": TargetRefused,
    "03": TargetRefused,
    "08": TargetUnavailable,
    "09": RowRefused,  # a trigger's exception
    "0A": TargetRefused,
    "0B": TargetRefused,
    "0F": TargetRefused,
    "0L": TargetRefused,
    "0P": TargetRefused,
    "0Z": TargetRefused,
    "10": TargetRefused,
    "20": TargetRefused,
    "21": RowRefused,  # two rows of one key in one statement
    "22": RowRefused,
    "23": RowRefused,
    "24": TargetRefused,
    "25": TargetRefused,
    "25006": TargetUnavailable,  # read only: a standby, until it is promoted
    "25P03": TargetUnavailable,  # the server ended the session: it idled in a transaction for a lease
    "25P04": TargetUnavailable,
    "26": TargetRefused,
    "27": RowRefused,  # a trigger changed the row under the statement
    "28": TargetRefused,
    "2B": TargetRefused,
    "2D": TargetRefused,
    "2F": RowRefused,  # a trigger's function
    "34": TargetRefused,
    "38": RowRefused,  # a trigger's function
    "39": RowRefused,
    "3B": TargetRefused,
    "3D": TargetRefused,
    "3F": TargetRefused,
    "40": TargetBusy,
    "42": TargetRefused,
    "44": RowRefused,  # WITH CHECK OPTION
    "53": TargetUnavailable,  # disk full, out of memory, too many connections
    "54": RowRefused,  # a limit, like the longest index entry
    "55": TargetRefused,
    "55006": TargetBusy,
    "55P03": TargetBusy,
    "57": TargetUnavailable,
    "57014": TargetBusy,  # a statement_timeout of the role, or a person
    "57P04": TargetRefused,  # the database was dropped
    "58": TargetUnavailable,
    "72": TargetBusy,
    "F0": TargetRefused,
    "HV": TargetUnavailable,
    "P0": RowRefused,  # RAISE in a trigger
    "XX": TargetRefused,
}

# What libpq itself and a failed connection give has no SQLSTATE; by class, the most special first.
BY_CLASS: tuple[tuple[type[psycopg.Error], type[CdcError]], ...] = (
    (psycopg.DataError, RowRefused),
    (psycopg.IntegrityError, RowRefused),
    (psycopg.NotSupportedError, TargetRefused),
    (psycopg.ProgrammingError, TargetRefused),
    (psycopg.InternalError, TargetRefused),
    (psycopg.OperationalError, TargetUnavailable),
    (psycopg.InterfaceError, TargetUnavailable),
    (psycopg.DatabaseError, TargetUnavailable),
    (psycopg.Error, TargetUnavailable),
)

# libpq shows no SQLSTATE for a connection that the server refused: its words are all there is. Words of another language
# are taken for an outage, which is retried and said.
_REFUSALS = re.compile(
    r"authentication failed|no pg_hba\.conf entry|no password supplied|does not exist|not permitted to log in"
    r"|permission denied|certificate verify failed|does not support SSL|root certificate file|server certificate for"
    r"|requires encryption|SSL error: tlsv1 alert",
)

ROW_HINT = "make the target accept it, or set sink.on_error: dead_letter"
_HINTS: Mapping[type[CdcError], str] = {
    TargetUnavailable: "it is tried again with back-off; look at the server's log if it lasts",
    TargetBusy: "the transaction was rolled back and is tried again",
    RowRefused: ROW_HINT,
    TargetRefused: "grant or mend what is named, then start again; `cdc check` looks at all of it",
}


def kind_of(error: psycopg.Error) -> type[CdcError]:
    """The class of ours that a psycopg error becomes."""
    state = error.sqlstate
    if state is not None:
        for length in (5, 3, 2):
            if state[:length] in BY_STATE:
                return BY_STATE[state[:length]]
        return TargetRefused
    return next(ours for theirs, ours in BY_CLASS if isinstance(error, theirs))


def mapped(error: psycopg.Error, place: str = "") -> CdcError:
    """Our error for a psycopg one; `place` names table and key where the caller knows them."""
    kind = kind_of(error)
    return kind(f"PostgreSQL: {_condition(error)}{place or _place(error)}", hint=_HINTS[kind])


def connect_error(error: psycopg.Error, server: str, password: str) -> CdcError:
    """Our error for a connection that did not come about."""
    text = shown(" ".join(str(error).split()))
    if password:
        text = text.replace(password, "***")
    if _REFUSALS.search(text):
        return TargetRefused(
            f"PostgreSQL at {server} refuses the connection: {text}",
            hint="check user, password, database and tls in sink.url and sink.tls",
        )
    return TargetUnavailable(f"PostgreSQL at {server} does not answer: {text}", hint=_HINTS[TargetUnavailable])


@contextmanager
def mapping() -> Iterator[None]:
    """Everything that psycopg raises within leaves as ours."""
    try:
        yield
    except psycopg.Error as error:
        raise mapped(error) from None


def _condition(error: psycopg.Error) -> str:
    """`unique violation (23505)`; for states that quote no values the server's own sentence."""
    state = error.sqlstate
    if state is None:
        return "the connection is lost" if kind_of(error) is TargetUnavailable else shown(" ".join(str(error).split()))
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(error).__name__).lower()
    if state[:2] in {"08", "25", "28", "3D", "3F", "40", "42", "53", "55", "57", "58"} and error.diag.message_primary:
        words = shown(error.diag.message_primary)
    return f"{words} ({state})"


def _place(error: psycopg.Error) -> str:
    diag = error.diag
    named = (("table", diag.table_name), ("column", diag.column_name), ("constraint", diag.constraint_name))
    return "".join(f", {what} {shown(name)}" for what, name in named if name)
