"""The fixtures that other tests stand on."""

import psycopg
import pytest
import redis

from cdc.local import Server
from tests.fixtures.servers import Database, emptied


def test_a_source_database_is_fresh_and_logs_full_row_images(any_source_db: Database) -> None:
    with any_source_db.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SHOW TABLES")
        assert cursor.fetchall() == ()
        names = ("log_bin", "binlog_format", "binlog_row_image", "binlog_row_metadata")
        cursor.execute(f"SELECT {', '.join('@@' + name for name in names)}")
        assert cursor.fetchone() == (1, "ROW", "FULL", "FULL")


def test_mysql_is_mysql_and_not_mariadb(mysql: Server) -> None:
    assert mysql.kind == "mysql"
    assert int(mysql.version.split(".")[0]) >= 8
    assert "MariaDB" not in mysql.version


def test_a_postgresql_database_is_fresh(pg_db: str) -> None:
    with psycopg.connect(pg_db) as connection:
        assert connection.execute("SELECT count(*) FROM pg_stat_user_tables").fetchone() == (0,)


def test_an_emptied_postgresql_database_has_nothing_but_what_a_new_one_has(pg_db: str) -> None:
    public = "SELECT nspowner::regrole::text, nspacl::text FROM pg_namespace WHERE nspname = 'public'"
    with psycopg.connect(pg_db, autocommit=True) as connection:
        as_new = connection.execute(public).fetchone()
        connection.execute("CREATE TABLE orders (id INT PRIMARY KEY)")
        connection.execute("CREATE TYPE mood AS ENUM ('good')")
        connection.execute("CREATE SCHEMA other CREATE VIEW v AS SELECT 1")
        connection.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
    assert emptied(pg_db)
    with psycopg.connect(pg_db, autocommit=True) as connection:
        assert connection.execute("SELECT count(*) FROM pg_class WHERE oid >= 16384").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM pg_type WHERE oid >= 16384").fetchone() == (0,)
        assert connection.execute(public).fetchone() == as_new
        connection.execute("SELECT lo_create(0)")
    assert not emptied(pg_db)


@pytest.mark.parametrize("time", [1, 2])
def test_a_redis_database_is_empty_each_time(redis_url: str, time: int) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
        client.set("left over", time)
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
