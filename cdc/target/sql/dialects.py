"""The three SQL dialects as values: SQLAlchemy's object for each, and the limits that it does not enforce itself."""

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # loaded by what reflects, quotes or makes tables; a reader does none of it
    from sqlalchemy.engine.default import DefaultDialect

DialectName = Literal["postgresql", "mysql", "sqlite"]


@dataclass(frozen=True, slots=True)
class SqlDialect:
    """`max_name`: the longest identifier, in `name_unit`s; 0: no limit. `fold_case`: column names differ in more than case."""

    name: DialectName
    product: str
    max_name: int
    name_unit: Literal["bytes", "characters"]
    fold_case: bool

    @property
    def plain(self) -> "DefaultDialect":
        """SQLAlchemy's, which quotes and writes DDL, and doubles no percent sign: its text is executed without parameters."""
        return _plain(self.name)


_SQLALCHEMY = {
    "postgresql": "sqlalchemy.dialects.postgresql.psycopg:PGDialect_psycopg",
    "mysql": "sqlalchemy.dialects.mysql.pymysql:MySQLDialect_pymysql",
    "sqlite": "sqlalchemy.dialects.sqlite.pysqlite:SQLiteDialect_pysqlite",
}


@cache
def _plain(name: DialectName) -> "DefaultDialect":
    module, _, made = _SQLALCHEMY[name].partition(":")
    dialect: DefaultDialect = getattr(import_module(module), made)(paramstyle="named")
    return dialect


# PostgreSQL cuts longer names off with a mere notice (manual, 4.1.1 "Identifiers and Key Words").
POSTGRESQL = SqlDialect("postgresql", "PostgreSQL", max_name=63, name_unit="bytes", fold_case=False)
# MySQL manual, 11.2.1 "Identifier Length Limits".
MYSQL = SqlDialect("mysql", "MySQL", max_name=64, name_unit="characters", fold_case=True)
SQLITE = SqlDialect("sqlite", "SQLite", max_name=0, name_unit="characters", fold_case=True)
