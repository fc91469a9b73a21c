"""`cdc dlq` where the table has changed since its rows were refused: what is applied is the row as the source has it now."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import position
from tests.fixtures.servers import Database
from tests.support.pipeline import cdc, connector, write_connector
from tests.support.shop import called
from tests.support.sides import differences, rows
from tests.support.sources import execute
from tests.support.targets import Place

MAKE = "CREATE TABLE orders (id INT PRIMARY KEY, total DECIMAL(10,2), note VARCHAR(40), gone INT)"
TRIGGER = (
    "CREATE TRIGGER low BEFORE INSERT ON orders WHEN NOT (0 + new.total >= 0) BEGIN SELECT RAISE(ABORT, 'low'); END"
)
CHANGES = (
    "ALTER TABLE orders ADD COLUMN extra INT NOT NULL DEFAULT 5 AFTER id, DROP COLUMN gone",
    "ALTER TABLE orders CHANGE note remark VARCHAR(80), ADD COLUMN note VARCHAR(10) DEFAULT 'n'",
    "ALTER TABLE orders RENAME COLUMN note TO remark, RENAME COLUMN remark TO note",
    "RENAME TABLE orders TO sales",
)


class Refused:
    """Orders below 0 that a target refused; then CHANGES came, and some of the rows changed again."""

    def __init__(self, source: Database, place: Place, folder: Path, redis_url: str) -> None:
        self.source = source
        self.place = place
        document: dict[str, Any] = connector(
            source.dbname.replace("_", "-"),
            source_url=source.server.url,
            target_url=place.url,
            tables=[f"{source.dbname}.*"],
            queue={"url": redis_url, "lanes": 2},
            sink={"url": place.url, "on_error": "dead_letter"},
        )
        document["source"] |= {"start": position(source), "destructive_changes": "apply"}
        self.file = str(write_connector(folder, document))
        self.sqlite = place.kind == "sqlite"
        place.execute(MAKE.replace("DECIMAL(10,2)", "TEXT") if self.sqlite else MAKE)
        place.execute(TRIGGER if self.sqlite else "ALTER TABLE orders ADD CONSTRAINT low CHECK (total >= 0)")
        execute(source, MAKE, "INSERT INTO orders VALUES (1, 1, 'good', 0)")
        self.apply(*(f"INSERT INTO orders VALUES ({n}, -1, 'bad {n}', {n})" for n in range(2, 6)))

    def apply(self, *statements: str) -> None:
        execute(self.source, *statements)
        done = called("run", self.file, "--drain")
        assert done.returncode == 0, done.stderr

    def letters(self) -> list[dict[str, Any]]:
        done = called("dlq", "list", self.file, "--json")
        assert done.returncode == 0, done.stderr
        found: list[dict[str, Any]] = json.loads(done.stdout)["dead_letters"]
        return found

    def allow(self, table: str) -> None:
        dropping = f"ALTER TABLE {table} DROP CONSTRAINT low"
        self.place.execute("DROP TRIGGER low" if self.sqlite else dropping)

    def retry(self) -> dict[str, Any]:
        done = called("dlq", "retry", self.file, "--all", "--json")
        assert done.stdout, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)["sinks"]
        return next(iter(answer.values()))


@pytest.fixture
def refused(mysql_db: Database, redis_url: str, target_url: str, tmp_path: Path) -> Refused:
    kind = target_url.partition(":")[0]
    return Refused(mysql_db, Place(kind, target_url), tmp_path, redis_url)


@pytest.mark.parametrize(
    "target_url",
    ["sqlite", *(pytest.param(one, marks=pytest.mark.faults) for one in ("postgresql", "mysql"))],
    indirect=True,
)
def test_rows_refused_before_their_table_changed_are_applied_to_it_as_the_source_has_them_now(
    refused: Refused, target_url: str
) -> None:
    refused.apply(
        *CHANGES,
        "UPDATE sales SET note = 'newer' WHERE id = 3",
        "DELETE FROM sales WHERE id = 4",
        "UPDATE sales SET total = 9, extra = 6 WHERE id = 5",
    )
    assert [letter["table"] for letter in refused.letters()] == [f"{refused.source.dbname}.sales"] * 7
    refused.allow("sales")
    assert refused.retry() == {"applied": 7, "rows": 4, "refused": []}
    assert refused.letters() == []
    expected = rows(refused.source.url, "sales", ("id",))
    assert len(expected) == 4
    assert (expected["2",]["extra"], {expected["2",]["note"], expected["2",]["remark"]}) == (5, {"n", "bad 2"})
    found = rows(target_url, "sales", ("id",))
    assert not differences(expected, found)
    assert {name for row in found.values() for name in row} == {"id", "extra", "total", "note", "remark"}
    refused.apply("UPDATE sales SET note = 'flows again'")
    assert not differences(rows(refused.source.url, "sales", ("id",)), rows(target_url, "sales", ("id",)))


@pytest.mark.parametrize("target_url", ["postgresql"], indirect=True)
def test_a_change_of_the_key_stops_until_the_dead_letters_are_settled(refused: Refused, target_url: str) -> None:
    execute(refused.source, "ALTER TABLE orders DROP PRIMARY KEY, ADD PRIMARY KEY (id, total)")
    stopped = cdc("run", refused.file, "--drain")
    assert stopped.returncode == 1
    assert "cdc dlq retry" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    refused.allow("orders")
    assert refused.retry() == {"applied": 4, "rows": 4, "refused": []}
    refused.apply("INSERT INTO orders VALUES (2, 7, 'same id', 1)")
    key = ("id", "total")
    assert not differences(rows(refused.source.url, "orders", key), rows(target_url, "orders", key))


@pytest.mark.parametrize("target_url", ["mysql"], indirect=True)
def test_a_table_that_is_dropped_or_emptied_takes_its_dead_letters_along(refused: Refused) -> None:
    refused.apply("TRUNCATE TABLE orders")
    assert refused.letters() == []
    refused.apply("INSERT INTO orders VALUES (9, -9, 'bad', 0)")
    assert len(refused.letters()) == 1
    refused.apply("DROP TABLE orders", MAKE, "INSERT INTO orders VALUES (9, -9, 'good now', 0)")
    assert refused.letters() == []
    assert refused.place.rows(columns=["id", "note"]) == [(9, "good now")]
