"""The fixtures that other tests stand on."""

import psycopg
import pytest
import redis

from cdc.local import Server
from tests.fixtures.servers import Database


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


@pytest.mark.parametrize("time", [1, 2])
def test_a_redis_database_is_empty_each_time(redis_url: str, time: int) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
        client.set("left over", time)
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
