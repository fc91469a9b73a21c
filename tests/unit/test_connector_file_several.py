"""Several connector files together, and sinks that could write one table."""

from pathlib import Path

import pytest

from cdc.model.config import Url
from cdc.model.errors import ConnectorFileError
from cdc.model.overlap import Destination, overlap
from cdc.model.routing import TableFilter
from cdc.wiring.connector_file import load_all, problems

ONE = """\
name: {name}
source:
  url: mysql://cdc@{host}
  server_id: {server_id}
  tables: [{tables}]
queue: {{url: "redis://127.0.0.1"}}
sink:
  url: {sink}
"""


def written(folder: Path, file: str, **values: object) -> Path:
    standard = {"name": file, "host": "db", "server_id": 1, "tables": "shop.*", "sink": f"sqlite:////tmp/{file}.db"}
    path = folder / f"{file}.yaml"
    path.write_text(ONE.format(**{**standard, **values}))
    return path


def test_connectors_that_share_nothing_get_along(tmp_path: Path) -> None:
    files = [written(tmp_path, "a"), written(tmp_path, "b", server_id=2), written(tmp_path, "c", host="other")]
    assert [config.name for config in load_all(files, {})] == ["a", "b", "c"]


def test_two_connectors_with_one_name_are_refused(tmp_path: Path) -> None:
    files = [written(tmp_path, "a"), written(tmp_path, "b", name="a", server_id=2)]
    with pytest.raises(ConnectorFileError, match=r"b\.yaml:1: name: the name a stands in .*a\.yaml:1 too"):
        load_all(files, {})


@pytest.mark.parametrize(
    ("one", "other"), [("db", "db:3306"), ("127.0.0.1", "localhost:3306"), ('"[::1]"'.strip('"'), "127.0.0.1")]
)
def test_two_connectors_with_one_server_and_server_id_are_refused(tmp_path: Path, one: str, other: str) -> None:
    files = [written(tmp_path, "a", host=one), written(tmp_path, "b", host=other)]
    with pytest.raises(ConnectorFileError, match=r"b\.yaml:4: source\.server_id: .*a\.yaml:4 reads the same server"):
        load_all(files, {})


def test_two_files_whose_sinks_write_one_table_are_refused(tmp_path: Path) -> None:
    sink = "postgresql://u:p@127.0.0.1/app"
    files = [
        written(tmp_path, "a", sink=sink),
        written(tmp_path, "b", server_id=2, tables="crm.orders", sink="postgresql://v@localhost:5432/app"),
    ]
    with pytest.raises(ConnectorFileError, match=r"b\.yaml:7: sink: .*a\.yaml:7 writes to the same table .* orders"):
        load_all(files, {})


def test_the_same_file_twice_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "a")
    assert [error.key for error in problems([path, path], {})] == ["name", "source.server_id", "sink"]


def test_a_broken_file_does_not_hide_what_is_wrong_with_the_others(tmp_path: Path) -> None:
    broken = tmp_path / "x.yaml"
    broken.write_text("name: [")
    files = [broken, written(tmp_path, "a"), written(tmp_path, "b")]
    assert [Path(error.file).stem for error in problems(files, {})] == ["x", "b"]


ALL = ("*.*",)


@pytest.mark.parametrize(
    ("one", "other", "template", "found"),
    [
        (("shop.*",), ("shop.*",), "{table}", "x"),
        (("shop.orders",), ("shop.*",), "{table}", "orders"),
        (("shop.*", "!shop.orders"), ("shop.orders",), "{table}", None),
        (("shop.*", "!shop.o*"), ("shop.orders", "shop.o1"), "{table}", None),
        (("shop.*", "!shop.o*", "shop.old"), ("shop.o*",), "{table}", "old"),
        (("shop.o?",), ("shop.??",), "{table}", "ox"),
        (("shop.o?",), ("shop.???",), "{table}", None),
        (("a.*",), ("b.*",), "{table}", "x"),
        (("a.*",), ("b.*",), "{db}_{table}", None),
        (("a.x",), ("b.x",), "t_{table}", "t_x"),
        (("a.x",), ("b.y",), "{table}", None),
        (("a*.*c",), ("*b.d*",), "{db}.{table}", "ab.dc"),
        (("*.*", "!*.x"), ("*.x",), "{table}", None),
        (ALL, ALL, "fixed", "fixed"),
    ],
)
def test_two_lists_of_patterns_overlap_exactly_where_a_table_could_match_both(
    one: tuple[str, ...], other: tuple[str, ...], template: str, found: str | None
) -> None:
    first, second = Destination("t", (ALL, one), template), Destination("t", (ALL, other), template)
    assert overlap(first, second) == found
    assert (overlap(second, first) is None) == (found is None)


def test_what_the_source_does_not_capture_cannot_overlap() -> None:
    first = Destination("t", (("shop.a*",), ALL), "{table}")
    second = Destination("t", (("shop.b*",), ALL), "{table}")
    assert overlap(first, second) is None


def test_sinks_of_different_targets_never_overlap() -> None:
    assert overlap(Destination("t", (ALL,), "{table}"), Destination("u", (ALL,), "{table}")) is None
    assert overlap(Destination("", (ALL,), "{table}"), Destination("", (ALL,), "{table}")) is None


def test_templates_that_differ_are_compared_where_tables_are_written_out() -> None:
    raw = Destination("t", (("shop.orders",),), "raw_{table}")
    assert overlap(raw, Destination("t", (("shop.raw_orders",),), "{table}")) == "raw_orders"
    assert overlap(raw, Destination("t", (("shop.orders",),), "{table}")) is None


def test_an_example_of_an_overlap_is_captured_by_both() -> None:
    one, other = ("*.*", "!*.a*", "x.a?c*"), ("*.*b*", "!y.*", "*.*cc")
    found = overlap(Destination("t", (one,), "{db}.{table}"), Destination("t", (other,), "{db}.{table}"))
    assert found is not None
    db, _, table = found.partition(".")
    assert TableFilter(one)(db, table)
    assert TableFilter(other)(db, table)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("postgresql://a:b@127.0.0.1/app", "postgresql://localhost:5432/app?sslmode=x", True),
        ("postgresql://h/app", "postgresql://h/other", False),
        ("mysql://h/app", "mariadb://h:3306/app", True),
        ("mysql://h/app", "mysql://h:3307/app", False),
        ("sqlite:////tmp/a/../b.db", "sqlite:////tmp/b.db", True),
        ("sqlite:///b.db", "sqlite:///./b.db", True),
        ("sqlite:///b.db", "sqlite:////b.db", False),
    ],
)
def test_two_urls_are_one_target_whoever_logs_in(one: str, other: str, same: bool) -> None:
    assert (Url(one).place == Url(other).place) is same
