"""The three SQL dialects as values: SQLAlchemy's object for each, and the limits that it does not enforce itself."""

from dataclasses import dataclass
from typing import Literal

from sqlalchemy.dialects.mysql.pymysql import MySQLDialect_pymysql
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine.default import DefaultDialect

DialectName = Literal["postgresql", "mysql", "sqlite"]


@dataclass(frozen=True, slots=True)
class SqlDialect:
    """`statements` compiles Core statements with the driver's named parameters; `plain` quotes and writes DDL, and doubles
    no percent sign: its text is executed without parameters.

    `max_name`: the longest identifier, in `name_unit`s; 0: no limit. `fold_case`: column names differ in more than case.
    """

    name: DialectName
    product: str
    statements: DefaultDialect
    plain: DefaultDialect
    max_name: int
    name_unit: Literal["bytes", "characters"]
    fold_case: bool


# PostgreSQL cuts longer names off with a mere notice (manual, 4.1.1 "Identifiers and Key Words").
POSTGRESQL = SqlDialect(
    "postgresql",
    "PostgreSQL",
    PGDialect_psycopg(paramstyle="pyformat"),  # type: ignore[no-untyped-call]
    PGDialect_psycopg(paramstyle="named"),  # type: ignore[no-untyped-call]
    max_name=63,
    name_unit="bytes",
    fold_case=False,
)
# MySQL manual, 11.2.1 "Identifier Length Limits".
MYSQL = SqlDialect(
    "mysql",
    "MySQL",
    MySQLDialect_pymysql(paramstyle="pyformat"),
    MySQLDialect_pymysql(paramstyle="named"),
    max_name=64,
    name_unit="characters",
    fold_case=True,
)
SQLITE = SqlDialect(
    "sqlite",
    "SQLite",
    SQLiteDialect_pysqlite(paramstyle="named"),
    SQLiteDialect_pysqlite(paramstyle="named"),
    max_name=0,
    name_unit="characters",
    fold_case=True,
)
