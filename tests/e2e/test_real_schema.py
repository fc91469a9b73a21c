"""A schema as applications have them, full of rows, comes from one side to an empty other in one command, and stays in step."""

import base64
import secrets
import struct
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.e2e.conftest import queue_sections
from tests.fixtures.servers import Database
from tests.support import rental_shop
from tests.support.pipeline import Process, cdc, connector, write_connector
from tests.support.rental_shop import KEYS
from tests.support.shop import called
from tests.support.sides import differences, mysql_connection, plain, rows
from tests.support.sinks import statement_at

_HAS_SRID = 0x20000000  # of an EWKB's type


@pytest.mark.parametrize(
    ("source", "target_url"),
    [("mysql", "postgresql"), ("mysql", "mysql"), ("mariadb", "postgresql")],
    indirect=True,
    ids=["mysql-postgresql", "mysql-mysql", "mariadb-postgresql"],
)
def test_a_schema_with_all_that_applications_have_comes_in_one_command_and_stays_in_step(
    source: Database, target_url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    seed = secrets.randbelow(2**31)
    print(f"seed {seed}")  # noqa: T201
    with closing(mysql_connection(source.url, autocommit=False)) as connection:
        rental_shop.create(connection, seed)
        connection.commit()
        document = connector(
            f"real-{source.dbname.replace('_', '-')}",
            source_url=source.server.url,
            target_url=target_url,
            tables=[f"{source.dbname}.*"],
            **queue_sections("redis", request),
        )
        document["source"]["start"] = "snapshot"
        file = write_connector(tmp_path, document)

        done = cdc("run", str(file), "--drain")
        assert done.returncode == 0, done.stderr
        assert _unlike(source, target_url) == []

        with Process(tmp_path, "run", str(file)) as process:
            with connection.cursor() as cursor:
                for statement in rental_shop.CHANGES:
                    cursor.execute(statement)
            verified = called("verify", str(file), "--json", "--patience", "60")
            assert verified.returncode == 0, verified.stdout[:3000] + verified.stderr[-3000:]
            found = {one["table"].partition(".")[2]: one["rows"] for one in orjson.loads(verified.stdout)["tables"]}
            assert found.keys() == KEYS.keys()
            assert all(found.values())
            assert process.end() == 0, process.text()
    # What a trigger wrote came as the row that it is.
    assert statement_at(target_url, "SELECT COUNT(*) FROM film_text WHERE title = 'The Last'")[0][0] == 1
    assert statement_at(target_url, "SELECT COUNT(*) FROM film_text WHERE film_id = 9")[0][0] == 0
    assert _unlike(source, target_url) == []


def _unlike(source: Database, target_url: str) -> list[str]:
    found = []
    for table, key in KEYS.items():
        left, right = rows(source.url, table, key), rows(target_url, table, key)
        assert left, table
        if table == "address" and target_url.startswith("postgresql"):
            left = {name: {**row, "location": _ewkb(row["location"])} for name, row in left.items()}
        found += [f"{table} {line}" for line in differences(left, right)]
    return found


def _ewkb(stored: Any) -> Any:
    """From what MySQL stores of a point (the SRID, then WKB) to what PostGIS takes: the SRID behind the type."""
    raw = base64.b64decode(stored)
    srid, order, kind = struct.unpack_from("<IBI", raw)
    assert order == 1
    return plain(struct.pack("<BII", order, kind | _HAS_SRID, srid) + raw[9:])
