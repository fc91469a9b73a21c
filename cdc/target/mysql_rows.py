# ruff: noqa: S608 — identifiers come quoted from the plan, values from mysql_literals: there are no others here.
"""Reads a table of MySQL or MariaDB back."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy.dialects import mysql

from cdc.model.batch import Key
from cdc.target.mysql_errors import mapping
from cdc.target.mysql_literals import Encoder, encoders, key_texts, pieces
from cdc.target.mysql_session import Session
from cdc.target.sql.plan import TablePlan
from cdc.target.sql.rows import Answers, spelled_out

# As of cdc.target.mysql_apply: beyond, the optimizer leaves the ranges of the primary key.
_MAX_KEYS = 900


class MySqlAsker:
    """See cdc.target.sql.rows.Asker. Owns the session."""

    def __init__(self, session: Session, plan: TablePlan) -> None:
        self._session = session
        self._plan = plan
        every = encoders(plan)
        self._encode = [every[index] for index in plan.key_indexes]
        self._ordering = [_ordering(every[index], plan.types[index]) for index in plan.key_indexes]

    def rows(self, sql: str, parameters: Sequence[Any]) -> Answers:
        with mapping(f"table {self._plan.name}"):
            return self._session.rows(sql)

    def of_keys(self, select: str, keys: Sequence[Key]) -> Iterator[Sequence[Any]]:
        head = f"SELECT {select} FROM {self._plan.quoted} AS t WHERE "
        with mapping(f"table {self._plan.name}"):
            texts = self._conditions(keys)
            room = self._session.max_statement_bytes // 2
            for part in pieces(texts, max_bytes=room, max_count=_MAX_KEYS):
                yield from self._session.rows(head + self._any_of(texts[part]))

    def _conditions(self, keys: Sequence[Key]) -> Sequence[str]:
        """Of a key of one column its literals. Of more not `(a, b) IN …`, which MariaDB does not read by the index."""
        if len(self._encode) == 1:
            return key_texts(self._encode, keys)
        columns = [f"t.{column}" for column in self._plan.quoted_key]
        return [
            " AND ".join(
                f"{column} = {encode(value)}" for column, encode, value in zip(columns, self._encode, key, strict=True)
            )
            for key in keys
        ]

    def _any_of(self, conditions: Sequence[str]) -> str:
        if len(self._encode) == 1:
            return f"t.{self._plan.quoted_key[0]} IN ({','.join(conditions)})"
        return " OR ".join(f"({one})" for one in conditions)

    def beside(self, operator: str, key: Key) -> tuple[str, Sequence[Any]]:
        texts = [encode(value) for encode, value in zip(self._ordering, key, strict=True)]
        return spelled_out(self._plan.quoted_key, operator, texts), ()

    def close(self) -> None:
        self._session.close()


def _ordering(encode: Encoder, target: Any) -> Encoder:
    """An ENUM and a SET are ordered by their numbers, and compared with a text as texts (MySQL manual, "The ENUM Type")."""
    if isinstance(target, mysql.ENUM):
        numbers = {member: str(number) for number, member in enumerate(target.enums, 1)}
        return lambda value: numbers.get(value, "0")
    if isinstance(target, mysql.SET):
        bits = {member: 1 << place for place, member in enumerate(target.values)}
        return lambda value: str(sum(bits.get(member, 0) for member in str(value).split(",")))
    return encode
