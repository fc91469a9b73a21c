"""Which server is taken, how it is put together, and what is said about it. Nothing is started here."""

import io
from pathlib import Path

import pytest

from cdc.local import docker, mysql, redis_server, start_server
from cdc.local.plan import Container
from cdc.local.programs import on_path
from cdc.local.progress import PlainLines, Step
from cdc.local.server import hidden
from cdc.model.errors import LocalServerError


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("mysqld  Ver 8.0.36 for Linux on x86_64 (MySQL Community Server - GPL)", (8, 0, 36)),
        ("/usr/sbin/mysqld  Ver 9.7.4-2 for Linux on x86_64 ((Debian))", (9, 7, 4)),
        ("mariadbd  Ver 10.11.6-MariaDB-0+deb12u1 for debian-linux-gnu on x86_64", (10, 11, 6)),
        ("command not found", None),
    ],
)
def test_the_version_of_a_server_binary(said: str, version: tuple[int, ...] | None) -> None:
    assert mysql.server_version(said) == version


@pytest.mark.parametrize("says", ["mysqld  Ver 10.11.6-MariaDB for debian-linux-gnu", "mysqld  Ver 5.7.44 for Linux"])
def test_a_mysqld_on_path_that_is_mariadb_or_too_old_is_not_taken_for_mysql(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str
) -> None:
    program = tmp_path / "mysqld"
    program.write_text(f"#!/bin/sh\necho '{says}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(LocalServerError, match="is not MySQL 8"):
        start_server("mysql", tmp_path / "data", ways=["path"])


def test_programs_of_our_own_environment_do_not_count_as_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setenv("PATH", str(Path(sys.prefix) / "bin"))
    assert on_path("pytest", further=()) is None


def test_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LocalServerError, match="no kind of server 'oracle'"):
        start_server("oracle", tmp_path / "x")


def test_a_folder_that_holds_something_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("dear")
    with pytest.raises(LocalServerError, match="is not empty"):
        start_server("redis", tmp_path, ways=["path"])
    assert (tmp_path / "letter").read_text() == "dear"


def test_when_no_way_works_the_error_names_each_and_a_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LocalServerError) as caught:
        start_server("kafka", tmp_path / "x", ways=["path", "docker", "packages"])
    assert "no kafka-server-start on PATH; no docker on PATH; no java on PATH" in caught.value.message
    assert "CDC_LOCAL_KAFKA_URL" in caught.value.hint
    assert not (tmp_path / "x").exists()


def test_docker_publishes_on_loopback_and_keeps_passwords_off_the_command_line() -> None:
    container = Container(
        "mysql:9", "mysql://root:canary@127.0.0.1:4000", 3306, {"MYSQL_ROOT_PASSWORD": "canary"}, ("--x",)
    )
    assert docker.run_arguments("name", 4000, container) == [
        *("docker", "run", "--detach", "--name", "name", "--publish", "127.0.0.1:4000:3306"),
        *("--env", "MYSQL_ROOT_PASSWORD", "mysql:9", "--x"),
    ]


def test_a_redis_password_is_kept_off_the_command_line() -> None:
    options = ("--appendonly", "yes", "--requirepass", "canary", "--hz", "5")
    assert redis_server.split_password(options) == (["--appendonly", "yes", "--hz", "5"], "canary")
    assert redis_server.split_password(("--hz", "5")) == (["--hz", "5"], "")


def test_a_url_is_shown_without_its_password() -> None:
    assert hidden("mysql://root:can:ary@127.0.0.1:1/x") == "mysql://root:***@127.0.0.1:1/x"
    assert hidden("redis://:canary@127.0.0.1:1/0") == "redis://:***@127.0.0.1:1/0"
    assert hidden("redis://127.0.0.1:1/0") == "redis://127.0.0.1:1/0"


def test_plain_progress_is_one_line_for_each_quarter() -> None:
    stream = io.StringIO()
    lines = PlainLines(stream)
    for done in range(0, 101):
        lines(Step("downloading", done * 10**6, 100 * 10**6))
    lines(Step("unpacking"))
    lines(Step("unpacking"))
    assert stream.getvalue().splitlines() == [
        *(f"downloading: {size}.0 MB of 100.0 MB" for size in (0, 25, 50, 75, 100)),
        "unpacking",
    ]
