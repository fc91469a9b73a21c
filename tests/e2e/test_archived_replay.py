"""What the server has purged is replayed, resumed and looked at from copies of its binlog files."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cdc.local import Server
from tests.fixtures.servers import Database
from tests.support.binlog_copies import copy_binlogs, file_names, purge_to
from tests.support.chaos import Chaos, Kinds, chaos
from tests.support.own_source import fresh_database, start_own_source
from tests.support.pipeline import cdc, write_connector
from tests.support.sinks import statement_at
from tests.support.sources import execute
from tests.support.workload import TABLES


@pytest.fixture(scope="module", params=["mysql", "mariadb"])
def own_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = start_own_source(request.param, tmp_path_factory.mktemp("own"))
    try:
        yield server
    finally:
        server.remove()


@pytest.fixture
def own_source(own_server: Server) -> Database:
    return fresh_database(own_server)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    folder = tmp_path / "binlogs"
    folder.mkdir()
    return folder


@pytest.fixture
def case(own_source: Database, archive: Path, request: pytest.FixtureRequest) -> Iterator[Chaos]:
    """Nothing runs yet; its archive is empty."""
    with chaos(request, Kinds("mysql", "redis", "postgresql"), source=own_source) as case:
        case.document["source"]["archives"] = [f"file://{archive}/"]
        write_connector(case.folder, case.document)
        yield case


def archive_all(case: Chaos, folder: Path) -> list[str]:
    """Ends the file, copies all but the new one, and has the server purge them; the names of the copies."""
    execute(case.source, "FLUSH BINARY LOGS")
    *old, newest = file_names(case.source)
    copy_binlogs(case.source, folder, *old)
    purge_to(case.source, newest)
    return old


def test_a_purged_position_replayed_from_copies_mends_the_target_and_the_live_stream_goes_on(
    case: Chaos, archive: Path
) -> None:
    begin = case.document["source"]["start"]
    case.reader()
    case.sink()
    for _ in range(3):
        case.work.transactions(40)
        execute(case.source, "FLUSH BINARY LOGS")
    case.until_equal()
    copies = archive_all(case, archive)
    assert len(copies) >= 4
    assert begin.partition(":")[0] in copies
    statement_at(case.target_url, "DELETE FROM stock")
    statement_at(case.target_url, "UPDATE items SET name = 'by hand'")
    assert case.unlike()

    done = cdc("replay", str(case.file), "--from", begin, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["from"] == begin
    case.work.transactions(40)
    case.until_equal()
    assert min(row["generation"] for row in case.progress().values()) == 2
    execute(case.source, "FLUSH BINARY LOGS")
    case.work.transactions(20)
    case.finish()


def test_a_replay_by_url_takes_the_file_that_the_archive_has_and_refuses_one_that_no_reader_would_find(
    case: Chaos, archive: Path, tmp_path: Path
) -> None:
    case.reader()
    case.sink()
    case.work.transactions(20)
    case.until_equal()
    copies = archive_all(case, archive)
    done = cdc("replay", str(case.file), "--from", f"file://{archive}/{copies[0]}")
    assert done.returncode == 0, done.stderr
    case.work.transactions(10)
    case.until_equal()
    assert min(row["generation"] for row in case.progress().values()) == 2

    del case.document["source"]["archives"]
    write_connector(case.folder, case.document)
    refused = cdc("replay", str(case.file), "--from", f"file://{archive}/{copies[0]}")
    assert refused.returncode == 1
    assert f"archives: [file://{archive}/]" in refused.stderr
    assert "Traceback" not in refused.stderr
    case.finish()


def test_a_reader_resumes_at_a_purged_checkpoint_and_at_a_start_in_the_archive(case: Chaos, archive: Path) -> None:
    copies = archive_all(case, archive)
    case.document["source"]["start"] = f"file://{archive}/{case.document['source']['start']}"
    write_connector(case.folder, case.document)
    case.sink()
    reader = case.alone("reader")
    case.until_equal()
    assert reader.end() == 0, reader.text()
    case.work.transactions(20)
    assert len(archive_all(case, archive)) == 1
    case.work.transactions(20)
    case.reader()
    case.finish()
    assert len(list(archive.iterdir())) == len(copies) + 1
    checked = cdc("check", str(case.file))
    assert f"the source's first is {file_names(case.source)[0]}" in " ".join(checked.stdout.split()), checked.stdout


def test_files_are_looked_at_without_any_server(case: Chaos, archive: Path) -> None:
    begin = case.document["source"]["start"]
    case.work.transactions(30)
    copies = archive_all(case, archive)
    case.document["source"]["url"] = "mysql://nobody:nothing@127.0.0.1:1"
    case.document["source"].pop("archives")
    write_connector(case.folder, case.document)
    done = cdc("tail", str(case.file), "--from", f"file://{archive}/{begin}, file://{archive}/")
    assert done.returncode == 0, done.stderr
    left = keys_left([json.loads(line) for line in done.stdout.splitlines()])
    for table, key in TABLES.items():
        with case.source.connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"SELECT {', '.join(key)} FROM {table}")
            assert set(cursor.fetchall()) == {values for name, values in left if name == table}
    ends = cdc("tail", str(case.file), "--from", f"file://{archive}/", "--to", begin)
    assert (ends.returncode, ends.stdout) == (0, ""), ends.stderr
    one = cdc("tail", str(case.file), "--from", f"file://{archive}/{copies[-1]}", "--limit", "3")
    assert len(one.stdout.splitlines()) == 3


def keys_left(events: list[dict[str, Any]]) -> set[tuple[str, tuple[Any, ...]]]:
    """Tables and keys of the rows that are there after all events."""
    left: set[tuple[str, tuple[Any, ...]]] = set()
    for event in events:
        table = event["source"]["table"]
        if event["op"] == "t":
            left = {known for known in left if known[0] != table}
            continue
        if event["op"] == "m":  # a table was made or altered
            continue
        row = event["before"] if event["op"] == "d" else event["after"]
        key = (table, tuple(row[name] for name in TABLES[table]))
        (left.discard if event["op"] == "d" else left.add)(key)
    return left


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("file:///nowhere/at/all/", "/nowhere/at/all cannot be read on"),
        ("file://elsewhere/binlogs", "is not a file URL"),
        ("file:///etc/hostname", "has not the name of a binlog file"),
        ("file:binlogs", "is not a file URL"),
    ],
)
def test_urls_that_name_nothing_are_one_clear_error(case: Chaos, url: str, words: str) -> None:
    done = cdc("tail", str(case.file), "--from", url)
    assert (done.returncode, done.stdout) == (1, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr
