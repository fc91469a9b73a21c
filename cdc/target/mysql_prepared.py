"""Statements that the server has parsed once, for upserts of many rows: to read the same rows as text costs MySQL a fifth more.

PyMySQL prepares nothing, so these are the protocol's own commands (MySQL Source Code Documentation, "COM_STMT_PREPARE",
"COM_STMT_EXECUTE") through its connection. A server that cannot, or has prepared too many (max_prepared_stmt_count), is asked no
more: the same rows as text do.
"""

import struct
from collections import OrderedDict
from typing import Any, Final

import pymysql
from pymysql.connections import Connection
from pymysql.constants import COMMAND

from cdc.connect.mysql import error_code

ROWS: Final = 1000
"""Of one statement: 250 cost the server more a row, and so do 5,000."""
MOST_PARAMETERS: Final = 65_535
_LEAST_ROWS: Final = 100
_MOST_KEPT: Final = 16
# ER_UNKNOWN_STMT_HANDLER, ER_UNSUPPORTED_PS, ER_PS_MANY_PARAM, ER_MAX_PREPARED_STMT_COUNT_REACHED, ER_NEED_REPREPARE: the
# statement has done nothing. (MySQL Error Message Reference.)
_WITHOUT: Final = frozenset({1243, 1295, 1390, 1461, 1615})


def rows_at_once(columns: int) -> int:
    """How many rows of so many columns one statement takes; 0 where text is as good."""
    rows = min(ROWS, MOST_PARAMETERS // columns)
    return rows if rows >= _LEAST_ROWS else 0


class Prepared:
    """Of one connection, which belongs to one thread."""

    def __init__(self, connection: "Connection[Any]") -> None:
        self._connection: Any = connection
        self._statements: OrderedDict[bytes, int] = OrderedDict()
        self.given_up = False

    def run(self, sql: bytes, parameters: bytes) -> bool:
        """Executes the statement, which returns no rows, with what ReceivedRows.mysql_parameters made. False: nothing was done,
        and nothing will be, since this server does not take such statements. Driver errors pass through."""
        if self.given_up:
            return False
        try:
            statement = self._statements.get(sql)
            if statement is None:
                statement = self._prepare(sql)
            self._statements.move_to_end(sql)
            # No cursor, one iteration.
            head = struct.pack("<IBI", statement, 0, 1)
            self._connection._execute_command(COMMAND.COM_STMT_EXECUTE, head + parameters)
            self._connection._affected_rows = self._connection._read_query_result()
        except pymysql.err.MySQLError as error:
            if error_code(error) not in _WITHOUT:
                raise
            self.given_up = True
            return False
        return True

    def _prepare(self, sql: bytes) -> int:
        while len(self._statements) >= _MOST_KEPT:
            _, oldest = self._statements.popitem(last=False)
            # The server answers nothing to this.
            self._connection._execute_command(COMMAND.COM_STMT_CLOSE, struct.pack("<I", oldest))
        self._connection._execute_command(COMMAND.COM_STMT_PREPARE, sql)
        answer = self._connection._read_packet().get_all_data()
        status, statement, columns, parameters = struct.unpack_from("<BIHH", answer)
        assert (status, columns) == (0, 0)  # noqa: S101 - an error has risen; an INSERT has no columns
        # One definition for each parameter, then EOF; they say nothing that is not known.
        for _ in range(parameters + 1 if parameters else 0):
            self._connection._read_packet()
        self._statements[sql] = statement
        return int(statement)
