"""Each kind of server starts, answers, survives what tests do to it, and leaves nothing behind."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pymysql
import pytest
import redis

from cdc.local import KINDS, Server, start_server, start_stack
from cdc.local.cache import cache_folder, complete
from cdc.local.ports import listening
from cdc.local.process import descendants, started
from cdc.model.errors import LocalServerError
from tests.fixtures.servers import connect
from tests.support.wait import until

# A port of the loopback address that nobody can listen on: whoever asks the network for something fails at once.
CLOSED = "http://127.0.0.1:1"


def have(kind: str, directory: Path, options: Sequence[str] = ()) -> Server:
    try:
        return start_server(kind, directory, options=options)
    except LocalServerError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, CLOSED)
        monkeypatch.setenv(name.upper(), CLOSED)


def port_of(server: Server) -> int:
    return int(server.url.rsplit(":", 1)[1].split("/")[0])


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_starts_without_a_network_and_leaves_no_process_no_port_and_no_folder(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    # The first start may fill the cache; the second must not need anything from outside.
    have(kind, tmp_path / "first").remove()
    request.getfixturevalue("offline")
    server = have(kind, tmp_path / "second")
    family = [server.pid, *(one.pid for one in descendants(server.pid))]
    try:
        assert server.kind == kind
        assert re.search(r"\d+[.]\d+", server.version)
        assert server.is_alive()
        assert listening(port_of(server))
        assert f":{port_of(server)}" in server.url
    finally:
        server.remove()
    assert not server.is_alive()
    assert not listening(port_of(server))
    until(lambda: not any(started(pid) for pid in family), 10, "the server's processes are gone")
    assert not any(folder.exists() for folder in (server.directory, *server.folders))


@pytest.fixture(params=["mysql", "mariadb"])
def own_source(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    server = have(request.param, tmp_path / "server", options=["--binlog-format=STATEMENT"])
    yield server
    server.remove()


def test_a_killed_source_keeps_what_was_committed_and_its_port(own_source: Server) -> None:
    with connect(own_source) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT @@binlog_format")
        assert cursor.fetchone() == ("STATEMENT",), "the option that was given wins"
        cursor.execute("CREATE DATABASE shop")
        cursor.execute("CREATE TABLE shop.t (id INT PRIMARY KEY)")
        cursor.execute("INSERT INTO shop.t VALUES (7)")
    before = own_source.pid
    own_source.kill()
    assert not own_source.is_alive()
    own_source.restart()
    assert own_source.pid != before
    with connect(own_source) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT id FROM shop.t")
        assert cursor.fetchall() == ((7,),)


def test_a_source_takes_no_login_without_its_password(own_source: Server) -> None:
    with pytest.raises(pymysql.err.OperationalError, match="Access denied"):
        connect(own_source, password="")


def test_the_accounts_are_not_in_the_binlog(own_source: Server) -> None:
    with connect(own_source) as connection, connection.cursor() as cursor:
        cursor.execute("SHOW BINLOG EVENTS")
        assert "USER" not in str(cursor.fetchall())


def test_the_client_programs_of_mysql_run(tmp_path: Path, mysql: Server) -> None:
    for name in ("mysql", "mysqlbinlog"):
        if name in mysql.commands:
            done = subprocess.run([*mysql.commands[name], "--version"], capture_output=True, text=True, check=True)
            assert "Ver" in done.stdout


def test_a_paused_server_answers_nothing_until_it_is_resumed(tmp_path: Path) -> None:
    server = have("redis", tmp_path / "server", options=["--requirepass", "canary"])
    try:
        assert "canary" not in Path(f"/proc/{server.pid}/cmdline").read_text()
        assert "canary" not in repr(server)
        with redis.Redis.from_url(server.url, socket_timeout=0.3, retry=None) as client:
            assert client.ping()
            server.pause()
            with pytest.raises(redis.exceptions.TimeoutError):
                client.ping()
            server.resume()
            assert until(client.ping, 5, "the resumed server answers")
    finally:
        server.remove()


def test_a_taken_port_is_an_error_and_nobody_elses_server_is_taken_for_ours(
    tmp_path: Path, redis_server: Server
) -> None:
    with pytest.raises(LocalServerError, match="is taken"):
        start_server("redis", tmp_path / "server", port=port_of(redis_server), ways=["path", "packages", "wheel"])
    assert redis_server.is_alive()
    assert not (tmp_path / "server").exists()


def test_a_given_url_is_used_and_left_alone(
    tmp_path: Path, redis_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CDC_LOCAL_REDIS_URL", redis_server.url)
    server = start_server("redis", tmp_path / "server")
    assert (server.url, server.version, server.pid) == (redis_server.url, redis_server.version, 0)
    with pytest.raises(LocalServerError, match="was not started here"):
        server.kill()
    server.stop()
    server.remove()
    assert server.is_alive()


def test_mariadb_stands_in_where_mysql_cannot_be_had_and_says_so(
    tmp_path: Path, offline: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = next((folder for folder in cache_folder().glob("mariadb-*") if complete(folder)), None)
    if packages is None:
        pytest.skip("MariaDB's packages are not in the cache")
    # A cache that has MariaDB and no MySQL, and no network to fetch it from.
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / packages.name).symlink_to(packages)
    monkeypatch.setenv("CDC_CACHE", str(tmp_path / "cache"))
    with pytest.raises(LocalServerError, match="MySQL cannot be started: apt-get update failed"):
        start_server("mysql", tmp_path / "strict", ways=["packages"])
    server = start_server("mysql", tmp_path / "server", ways=["packages"], substitute=True)
    try:
        assert server.kind == "mariadb"
        assert server.url.startswith("mariadb://")
        assert server.how.startswith("MariaDB in the place of MySQL, which cannot be had here")
        assert "apt-get update failed" in server.how
    finally:
        server.remove()


def test_a_stack_that_fails_half_way_leaves_nothing_running(tmp_path: Path) -> None:
    with pytest.raises(LocalServerError, match="PostgreSQL cannot be started"):
        start_stack(["redis", "postgresql"], tmp_path, options={"postgresql": ["--no-such-option"]})
    assert list(tmp_path.iterdir()) == []
    assert not [one for one in descendants(os.getpid()) if str(tmp_path) in command_line(one.pid)]


def test_a_stack_stops_all_at_the_end_of_its_block(tmp_path: Path) -> None:
    with start_stack(["redis", "postgresql"], tmp_path) as stack:
        servers = list(stack)
        assert {server.kind for server in servers} == {"redis", "postgresql"}
        assert all(server.is_alive() for server in servers)
    assert not any(server.is_alive() for server in servers)


STARTER = """
import sys, time
from pathlib import Path
from cdc.local import start_stack
stack = start_stack(["redis", "postgresql"], Path(sys.argv[1]))
print(*(server.pid for server in stack), flush=True)
print(*(folder for server in stack for folder in server.folders), flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_servers_end_with_the_process_that_started_them(tmp_path: Path, number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STARTER, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as starter:
        try:
            assert starter.stdout is not None
            pids = [int(pid) for pid in starter.stdout.readline().split()]
            family = [*pids, *(one.pid for pid in pids for one in descendants(pid))]
            elsewhere = [Path(folder) for folder in starter.stdout.readline().split()]
            assert len(pids) == 2
            assert all(started(pid) for pid in pids)
            starter.send_signal(number)
            until(lambda: not any(started(pid) for pid in family), 15, lambda: f"gone: {family}")
            until(lambda: not any(folder.exists() for folder in elsewhere), 15, "no data is left in /tmp")
        finally:
            starter.kill()


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""
