"""Random DDL on a handful of tables: what a schema-change soak runs.

    space = DdlSpace(seed=7, flavor="mysql", without=("modify_any",))
    for sql in space.setup(): execute(sql)
    for _ in range(200):
        step = space.next()
        try: execute each of step.statements in order
        except refused by the server: continue      # a conversion that the rows do not allow, a row that gets too large
        space.done(step)

The same seed and the same answers of the server give the same statements. Every table has `id INT PRIMARY KEY`, which nothing
touches but the kind `key` (other columns join the key); other columns come, go, change and swap their names. `tables` says what
there is, by name, for who makes rows beside it. Names are hostile.
"""

import random
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

_CHAINS: tuple[tuple[str, ...], ...] = (
    ("TINYINT", "SMALLINT", "MEDIUMINT", "INT", "BIGINT"),
    ("SMALLINT UNSIGNED", "INT UNSIGNED", "BIGINT UNSIGNED"),
    ("DECIMAL(6,2)", "DECIMAL(10,2)", "DECIMAL(20,4)"),
    ("FLOAT", "DOUBLE"),
    ("VARCHAR(10)", "VARCHAR(60)", "VARCHAR(300)", "TEXT", "MEDIUMTEXT"),
    ("VARCHAR(9) CHARACTER SET latin1", "VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"),
    ("CHAR(4)", "CHAR(20)"),
    ("VARBINARY(10)", "VARBINARY(200)", "BLOB", "LONGBLOB"),
    ("BINARY(4)",),
    ("ENUM('a','b')", "ENUM('a','b','it''s')"),
    ("SET('x','y')", "SET('x','y','z')"),
    ("BIT(3)", "BIT(20)"),
    ("DATE", "DATETIME", "DATETIME(3)"),
    ("TIME", "TIME(2)"),
    ("TIMESTAMP NULL", "TIMESTAMP(6) NULL"),
    ("YEAR",),
    ("JSON",),
)
"""Types by family, each able to hold what the one before it held."""

_DEFAULTS = {
    "TINYINT": ("5", "-7", "'3'"),
    "SMALLINT": ("0x1F", "12"),
    "SMALLINT UNSIGNED": ("7",),
    "DECIMAL(6,2)": ("1.5", "-0.05"),
    "FLOAT": ("0.25",),
    "VARCHAR(10)": ("'it''s'", "''", "'é'", "5"),
    "VARCHAR(9) CHARACTER SET latin1": ("'ü'",),
    "CHAR(4)": ("'a '",),
    "VARBINARY(10)": ("'ab'", "0x00FF"),
    "BINARY(4)": ("'a'",),
    "ENUM('a','b')": ("'b'",),
    "SET('x','y')": ("'y,x'",),
    "BIT(3)": ("b'101'",),
    "DATE": ("'2024-02-29'",),
    "TIME": ("'-01:02:03'",),
    "TIMESTAMP NULL": ("CURRENT_TIMESTAMP",),
    "YEAR": ("2024",),
}
_NAMES = ("a", "b", "c", "order", "x; DROP TABLE t--", 'q"q', "tick`tick", "ü€", "new col", "d'e", "VALUE", "f")
_COLLATIONS = ("latin1", "utf8mb4 COLLATE utf8mb4_bin", "utf8mb4", "latin2")

WEIGHTS: dict[str, float] = {
    "add": 20,
    "add_several": 6,
    "drop_column": 10,
    "rename_column": 8,
    "swap_columns": 3,
    "widen": 10,
    "modify_any": 4,
    "reorder": 5,
    "mixed": 8,
    "set_default": 4,
    "nullability": 4,
    "index": 6,
    "drop_index": 3,
    "key": 2,
    "options": 4,
    "convert": 3,
    "rename_table": 4,
    "create_table": 3,
    "create_like": 2,
    "drop_table": 3,
    "truncate": 2,
    "ghost": 4,
}
"""Kinds of steps and how often they come. `modify_any` and `convert` may change values in ways that targets do not share."""


@dataclass(frozen=True, slots=True)
class Held:
    """A column; `type` is one of those above, `rest` what stands behind it."""

    name: str
    type: str
    rest: str = ""

    @property
    def definition(self) -> str:
        return f"{self.type} {self.rest}".strip()


Tables = dict[str, tuple[Held, ...]]


@dataclass(frozen=True, slots=True)
class Ddl:
    """`statements`: in order, one after the other. `after`: the tables once the server took them."""

    kind: str
    statements: tuple[str, ...]
    after: Tables
    indexes: dict[str, tuple[str, ...]]


def quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


class DdlSpace:
    """`weights` replaces those of `WEIGHTS` that it names; `without` leaves kinds out."""

    def __init__(
        self,
        seed: int,
        *,
        flavor: str,
        tables: int = 5,
        weights: Mapping[str, float] | None = None,
        without: Collection[str] = (),
    ) -> None:
        self._random = random.Random(seed)
        self._flavor = flavor
        self._wanted = tables
        self._count = 0
        self._weights = {kind: weight for kind, weight in {**WEIGHTS, **(weights or {})}.items() if kind not in without}
        self.tables: Tables = {}
        self.indexes: dict[str, tuple[str, ...]] = {}

    def setup(self) -> list[str]:
        made = []
        for _ in range(self._wanted):
            name = self._new_table()
            columns = self._columns(3)
            made.append(self._create(name, columns))
            self.tables[name] = columns
            self.indexes[name] = ()
        return made

    def next(self) -> Ddl:
        """A step that fits the tables as they are."""
        while True:
            kind = self._random.choices(list(self._weights), list(self._weights.values()))[0]
            found = self._step(kind)
            if found is not None:
                return found

    def done(self, step: Ddl) -> None:
        """The server took it."""
        self.tables, self.indexes = step.after, step.indexes

    # Names and columns

    def _new_table(self) -> str:
        self._count += 1
        return f"t{self._count} {self._random.choice(_NAMES)}"

    def _free_name(self, taken: Collection[str]) -> str:
        folded = {name.lower() for name in taken}
        return next(name for name in self._names() if name.lower() not in folded)

    def _names(self) -> Iterator[str]:
        yield from self._random.sample(_NAMES, len(_NAMES))
        while True:
            self._count += 1
            yield f"n{self._count}"

    def _column(self, taken: Collection[str]) -> Held:
        name = self._free_name(taken)
        kind = self._random.choice(self._random.choice(_CHAINS))
        return Held(name, kind, self._rest(kind))

    def _rest(self, kind: str) -> str:
        choice = self._random.random()
        defaults = _DEFAULTS.get(kind, ())
        null = "" if kind.endswith("NULL") else self._random.choice(("", "NOT NULL "))
        if defaults and choice < 0.5:
            return f"{null}DEFAULT {self._random.choice(defaults)}"
        comment = "COMMENT 'it''s, a ; comment'" if choice > 0.9 else ""
        return ("" if kind == "JSON" else null) + comment

    def _columns(self, count: int) -> tuple[Held, ...]:
        found = [Held("id", "INT", "PRIMARY KEY")]
        for _ in range(count):
            found.append(self._column([each.name for each in found]))
        return tuple(found)

    def _create(self, name: str, columns: tuple[Held, ...]) -> str:
        listed = ", ".join(f"{quoted(each.name)} {each.definition}" for each in columns)
        option = self._random.choice(("", "", " DEFAULT CHARSET=latin1", " COLLATE utf8mb4_bin"))
        return f"CREATE TABLE {quoted(name)} ({listed}){option}"

    # Steps

    def _step(self, kind: str) -> Ddl | None:
        table = self._random.choice(list(self.tables))
        columns = self.tables[table]
        others = [each for each in columns if each.name != "id"]
        needs = {"drop_column": 1, "rename_column": 1, "swap_columns": 2, "widen": 1, "modify_any": 1, "reorder": 2}
        if len(others) < needs.get(
            kind, 1 if kind in {"mixed", "set_default", "nullability", "index", "key", "ghost"} else 0
        ):
            return None
        made: Ddl | None = getattr(self, f"_{kind}")(kind, table, columns, others)
        return made

    def _alter(self, kind: str, table: str, columns: tuple[Held, ...], *clauses: str) -> Ddl:
        after = {**self.tables, table: columns}
        return Ddl(kind, (f"ALTER TABLE {quoted(table)} {', '.join(clauses)}",), after, self.indexes)

    def _add_clause(self, columns: tuple[Held, ...]) -> tuple[str, tuple[Held, ...]]:
        new = self._column([each.name for each in columns])
        at = self._random.randrange(len(columns) + 2)
        clause = f"ADD COLUMN {quoted(new.name)} {new.definition}"
        if at == 0:
            return f"{clause} FIRST", (new, *columns)
        if at > len(columns):
            return clause, (*columns, new)
        return f"{clause} AFTER {quoted(columns[at - 1].name)}", (*columns[:at], new, *columns[at:])

    def _add(self, kind: str, table: str, columns: tuple[Held, ...], others: list[Held]) -> Ddl:
        del others
        clause, after = self._add_clause(columns)
        return self._alter(kind, table, after, clause)

    def _add_several(self, kind: str, table: str, columns: tuple[Held, ...], others: list[Held]) -> Ddl:
        del others
        if self._random.random() < 0.3:
            new = [self._column([each.name for each in columns])]
            new.append(self._column([each.name for each in (*columns, *new)]))
            listed = ", ".join(f"{quoted(each.name)} {each.definition}" for each in new)
            return self._alter(kind, table, (*columns, *new), f"ADD COLUMN ({listed})")
        first, middle = self._add_clause(columns)
        second, after = self._add_clause(middle)
        return self._alter(kind, table, after, first, second)

    def _drop_column(self, kind: str, table: str, columns: tuple[Held, ...], others: list[Held]) -> Ddl:
        gone = self._random.choice(others)
        return self._alter(
            kind, table, tuple(each for each in columns if each is not gone), f"DROP COLUMN {quoted(gone.name)}"
        )

    def _rename_column(self, kind: str, table: str, columns: tuple[Held, ...], others: list[Held]) -> Ddl:
        old = self._random.choice(others)
        new = replace(old, name=self._free_name([each.name for each in columns]))
        after = tuple(new if each is old else each for each in columns)
        if self._random.random() < 0.5:
            return self._alter(kind, table, after, f"RENAME COLUMN {quoted(old.name)} TO {quoted(new.name)}")
        return self._alter(kind, table, after, f"CHANGE {quoted(old.name)} {quoted(new.name)} {new.definition}")

    def _swap_columns(self, kind: str, table: str, columns: tuple[Held, ...], others: list[Held]) -> Ddl:
        one, two = self._random.sample(others, 2)
        names = {one.name: two.name, two.name: one.name}
        after = tuple(replace(each, name=names.get(each.name, each.name)) for each in columns)
        clauses = [f"RENAME COLUMN {quoted(old)} TO {quoted(new)}" for old, new in names.items()]
        return self._alter(kind, table, after, *clauses)

    def _changed(self, kind: str, table: str, columns: tuple[Held, ...], old: Held, new: Held) -> Ddl:
        after = tuple(new if each is old else each for each in columns)
        return self._alter(kind, table, after, f"MODIFY COLUMN {quoted(old.name)} {new.definition}")

    def _widen(self, kind: str, table: str, columns: tuple[Held, ...], others: list[Held]) -> Ddl | None:
        old = self._random.choice(others)
        chain = next(each for each in _CHAINS if old.type in each)
        wider = chain[chain.index(old.type) + 1 :]
        return self._changed(kind, table, columns, old, replace(old, type=wider[0], rest="")) if wider else None

    def _modify_any(self, kind: str, table: str, columns: tuple[Held, ...], others: list[Held]) -> Ddl:
        old = self._random.choice(others)
        return self._changed(kind, table, columns, old, replace(self._column(()), name=old.name))

    def _nullability(self, kind: str, table: str, columns: tuple[Held, ...], others: list[Held]) -> Ddl:
        old = self._random.choice(others)
        rest = "" if "NOT NULL" in old.rest or old.type.endswith("NULL") else "NOT NULL"
        return self._changed(kind, table, columns, old, replace(old, rest=rest))

    def _reorder(self, kind: str, table: str, columns: tuple[Held, ...], others: list[Held]) -> Ddl:
        moved = self._random.choice(others)
        rest = [each for each in columns if each is not moved]
        at = self._random.randrange(len(rest) + 1)
        where = "FIRST" if at == 0 else f"AFTER {quoted(rest[at - 1].name)}"
        after = (*rest[:at], moved, *rest[at:])
        return self._alter(kind, table, after, f"MODIFY {quoted(moved.name)} {moved.definition} {where}")

    def _mixed(self, kind: str, table: str, columns: tuple[Held, ...], others: list[Held]) -> Ddl:
        gone = self._random.choice(others)
        left = tuple(each for each in columns if each is not gone)
        clause, after = self._add_clause(left)
        lock = self._random.choice(([], ["ALGORITHM=COPY"], ["COMMENT='x, ADD y INT'"]))
        return self._alter(kind, table, after, f"DROP {quoted(gone.name)}", clause, *lock)

    def _set_default(self, kind: str, table: str, columns: tuple[Held, ...], others: list[Held]) -> Ddl:
        one = self._random.choice(others)
        values = [value for value in _DEFAULTS.get(one.type, ()) if value != "CURRENT_TIMESTAMP"]
        if not values:
            return self._alter(kind, table, columns, f"ALTER COLUMN {quoted(one.name)} DROP DEFAULT")
        value = self._random.choice(values)
        return self._alter(kind, table, columns, f"ALTER {quoted(one.name)} SET DEFAULT {value}")

    def _index(self, kind: str, table: str, columns: tuple[Held, ...], others: list[Held]) -> Ddl:
        self._count += 1
        name, part = f"i{self._count}", self._random.choice(others)
        prefix = "(3)" if part.type.endswith(("TEXT", "BLOB")) or part.type.startswith("VAR") else ""
        on = f"({quoted(part.name)}{prefix})"
        sql = self._random.choice(
            (f"CREATE INDEX {name} ON {quoted(table)} {on}", f"ALTER TABLE {quoted(table)} ADD INDEX {name} {on}")
        )
        indexes = {**self.indexes, table: (*self.indexes.get(table, ()), name)}
        return Ddl(kind, (sql,), {**self.tables, table: columns}, indexes)

    def _drop_index(self, kind: str, table: str, columns: tuple[Held, ...], others: list[Held]) -> Ddl | None:
        del columns, others
        mine = self.indexes.get(table, ())
        if not mine:
            return None
        name = self._random.choice(mine)
        indexes = {**self.indexes, table: tuple(each for each in mine if each != name)}
        return Ddl(kind, (f"DROP INDEX {name} ON {quoted(table)}",), dict(self.tables), indexes)

    def _key(self, kind: str, table: str, columns: tuple[Held, ...], others: list[Held]) -> Ddl | None:
        second = self._random.choice(others)
        if second.type.startswith(("VARCHAR(300)", "JSON")) or second.type.endswith(("TEXT", "BLOB")):
            return None
        wanted = self._random.choice((("id",), ("id", second.name), (second.name, "id")))
        parts = ", ".join(map(quoted, wanted))
        after = tuple(
            replace(each, rest="NOT NULL") if each.name == second.name and len(wanted) > 1 else each for each in columns
        )
        return self._alter(kind, table, after, "DROP PRIMARY KEY", f"ADD PRIMARY KEY ({parts})")

    def _options(self, kind: str, table: str, columns: tuple[Held, ...], others: list[Held]) -> Ddl:
        del others
        option = self._random.choice(
            (
                "ENGINE=InnoDB",
                "FORCE",
                "COMMENT 'RENAME TO x'",
                "AUTO_INCREMENT=9",
                f"DEFAULT CHARACTER SET {_COLLATIONS[0]}",
            )
        )
        return self._alter(kind, table, columns, option)

    def _convert(self, kind: str, table: str, columns: tuple[Held, ...], others: list[Held]) -> Ddl:
        del others
        return self._alter(kind, table, columns, f"CONVERT TO CHARACTER SET {self._random.choice(_COLLATIONS)}")

    def _renamed(self, kind: str, old: str, new: str, statements: tuple[str, ...]) -> Ddl:
        tables = {new if name == old else name: columns for name, columns in self.tables.items()}
        indexes = {new if name == old else name: found for name, found in self.indexes.items()}
        return Ddl(kind, statements, tables, indexes)

    def _rename_table(self, kind: str, table: str, columns: tuple[Held, ...], others: list[Held]) -> Ddl:
        del columns, others
        new = self._new_table()
        sql = f"RENAME TABLE {quoted(table)} TO {quoted(new)}"
        if self._random.random() < 0.4:
            sql = f"ALTER TABLE {quoted(table)} RENAME TO {quoted(new)}"
        return self._renamed(kind, table, new, (sql,))

    def _create_table(self, kind: str, table: str, columns: tuple[Held, ...], others: list[Held]) -> Ddl | None:
        del table, columns, others
        if len(self.tables) >= 2 * self._wanted:
            return None
        name, made = self._new_table(), self._columns(self._random.randrange(1, 5))
        return Ddl(kind, (self._create(name, made),), {**self.tables, name: made}, {**self.indexes, name: ()})

    def _create_like(self, kind: str, table: str, columns: tuple[Held, ...], others: list[Held]) -> Ddl | None:
        del others
        if len(self.tables) >= 2 * self._wanted:
            return None
        name = self._new_table()
        sql = f"CREATE TABLE {quoted(name)} LIKE {quoted(table)}"
        return Ddl(kind, (sql,), {**self.tables, name: columns}, {**self.indexes, name: self.indexes.get(table, ())})

    def _drop_table(self, kind: str, table: str, columns: tuple[Held, ...], others: list[Held]) -> Ddl | None:
        del columns, others
        if len(self.tables) <= self._wanted:
            return None
        left = {name: found for name, found in self.tables.items() if name != table}
        return Ddl(kind, (f"DROP TABLE IF EXISTS {quoted(table)}, `not there`",), left, dict(self.indexes))

    def _truncate(self, kind: str, table: str, columns: tuple[Held, ...], others: list[Held]) -> Ddl:
        del columns, others
        return Ddl(kind, (f"TRUNCATE TABLE {quoted(table)}",), dict(self.tables), dict(self.indexes))

    def _ghost(self, kind: str, table: str, columns: tuple[Held, ...], others: list[Held]) -> Ddl:
        """As gh-ost does it: a copy, an ALTER of the copy, its rows, the swap."""
        ghost, old = quoted(f"_{table}_gho"), quoted(f"_{table}_del")
        renamed = self._random.choice(others)
        new = replace(renamed, name=self._free_name([each.name for each in columns]))
        middle = tuple(new if each is renamed else each for each in columns)
        clause, after = self._add_clause(middle)
        kept = ", ".join(quoted(each.name) for each in middle)
        statements = (
            f"DROP TABLE IF EXISTS {ghost}, {old}",
            f"CREATE TABLE {ghost} LIKE {quoted(table)}",
            f"ALTER TABLE {ghost} RENAME COLUMN {quoted(renamed.name)} TO {quoted(new.name)}, {clause}",
            f"INSERT INTO {ghost} ({kept}) SELECT {', '.join(quoted(each.name) for each in columns)} FROM {quoted(table)}",
            f"RENAME TABLE {quoted(table)} TO {old}, {ghost} TO {quoted(table)}",
            f"DROP TABLE {old}",
        )
        return Ddl(kind, statements, {**self.tables, table: after}, dict(self.indexes))
