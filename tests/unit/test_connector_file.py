"""Reading one connector file: what it takes, and how it refuses."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from cdc.model.config import ConnectorConfig, Url
from cdc.model.errors import ConnectorFileError
from cdc.wiring.connector_file import MOST_FILE_BYTES, load, problems
from tests.support.connectors import SECRETS, examples, with_urls

GOOD = """\
name: shop
source:
  url: mysql://cdc:${PASSWORD}@127.0.0.1:3306
  server_id: 5401
  tables: [shop.*, "!shop.sessions"]
queue:
  url: redis://127.0.0.1:6379/0
  lanes: 4
sink:
  url: postgresql://app:x@127.0.0.1/app
"""


def written(folder: Path, text: str | bytes, name: str = "shop.yaml") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def loaded(folder: Path, text: str, **environment: str) -> ConnectorConfig:
    return load(written(folder, text), {"PASSWORD": "secret", **environment})


def refused(folder: Path, text: str | bytes, **environment: str) -> ConnectorFileError:
    with pytest.raises(ConnectorFileError) as caught:
        load(written(folder, text), {"PASSWORD": "secret", **environment})
    assert caught.value.exit_status == 2
    return caught.value


def test_a_good_file_becomes_a_connector(tmp_path: Path) -> None:
    config = loaded(tmp_path, GOOD)
    assert config.name == "shop"
    assert config.source.server_id == 5401
    assert config.source.tables == ("shop.*", "!shop.sessions")
    assert config.source.url.password == "secret"
    assert config.coordinator.url == config.queue.url


@pytest.mark.parametrize("path", examples(), ids=lambda path: path.stem)
def test_every_worked_example_loads(path: Path) -> None:
    config = load(path, SECRETS)
    assert config.source.url.password in ("", SECRETS["CDC_SOURCE_PASSWORD"])


def test_a_worked_example_can_be_pointed_at_other_servers(tmp_path: Path) -> None:
    two_sinks = next(path for path in examples() if path.stem == "two-sinks")
    copy = with_urls(
        two_sinks,
        tmp_path,
        source="mysql://root@127.0.0.1:1",
        queue="redis://127.0.0.1:2/3",
        sinks={"warehouse": "sqlite:////tmp/w.db"},
        tables=["other.*"],
    )
    config = load(copy, SECRETS)
    assert config.source.url.port == 1
    assert config.source.tables == ("other.*",)
    assert {name: sink.url.scheme for name, sink in config.sinks.items()} == {
        "warehouse": "sqlite",
        "catalogue": "sqlite",
    }


_REPLICAS, _LAG = "source.snapshot.replicas", "source.snapshot.max_replica_lag_seconds"

# What is changed in GOOD, and the line, the key, and words of the complaint.
BAD: list[tuple[str, str, str, int, str, str]] = [
    ("unknown key", "lanes: 4", "lanse: 4", 8, "queue.lanse", "did you mean `lanes`?"),
    ("unknown key at the top", "name: shop", "nmae: shop", 1, "nmae", "did you mean `name`?"),
    ("key of another section", "lanes: 4", "lease_seconds: 4", 8, "queue.lease_seconds", "under `coordination`"),
    ("unknown key, nothing near", "lanes: 4", "zzz: 4", 8, "queue.zzz", "known are exactly_once, lanes"),
    ("missing key", "  server_id: 5401\n", "", 2, "source.server_id", "`server_id` is missing"),
    ("text for a number", "5401", '"5401"', 4, "source.server_id", "expected a whole number, found text"),
    ("fraction for a whole number", "5401", "1.5", 4, "source.server_id", "expected a whole number, found a number"),
    ("truth for a number", "5401", "true", 4, "source.server_id", "expected a whole number, found true or false"),
    ("nothing for a number", "5401", "", 4, "source.server_id", "found nothing"),
    ("number too low", "5401", "0", 4, "source.server_id", "expected at least 1"),
    ("number too high", "5401", "4294967296", 4, "source.server_id", "expected at most 4294967295"),
    ("number of thirty digits", "5401", "9" * 30, 4, "source.server_id", "expected"),
    ("number for text", "name: shop", "name: 17", 1, "name", "put it in quotes"),
    ("truth for text", "name: shop", "name: true", 1, "name", "expected text, found true or false"),
    ("bad name", "name: shop", "name: Shop!", 1, "name", "small letters"),
    ("no list", '[shop.*, "!shop.sessions"]', "shop.*", 5, "source.tables", "expected a list"),
    ("empty list", '[shop.*, "!shop.sessions"]', "[]", 5, "source.tables", "the list is empty"),
    ("number in a list", '"!shop.sessions"', "7", 5, "source.tables[1]", "expected text, found a number"),
    ("table without database", '"!shop.sessions"', "orders", 5, "source.tables", "lacks the database"),
    ("tag in a list", '"!shop.sessions"', "!shop.sessions", 5, "", 'put it in quotes: "!shop.sessions"'),
    ("tag", '[shop.*, "!shop.sessions"]', "[!shop.sessions , a.b]", 5, "source.tables[0]", 'put it in quotes: "!shop.sessions"'),
    ("alias", "shop.*,", "*.*,", 5, "", 'put it in quotes: "*.*"'),
    ("section as text", "queue:\n  url: redis://127.0.0.1:6379/0\n  lanes: 4", "queue: redis", 6, "queue", "keys with"),
    ("scheme", "postgresql://", "postgres://", 10, "sink.url", "'postgres://' is not one of postgresql://"),
    ("no scheme", "postgresql://app:x@127.0.0.1/app", "app", 10, "sink.url", "expected a URL that begins with"),
    ("no host", "postgresql://app:x@127.0.0.1/app", "postgresql:///app", 10, "sink.url", "expected host and port"),
    ("port", "127.0.0.1:3306", "127.0.0.1:mysql", 3, "source.url", "expected host and port"),
    ("braces", "url: postgresql://app:x@127.0.0.1/app", "url: {url}", 10, "sink.url", "belongs in quotes"),
    ("twice", "  lanes: 4", "  lanes: 4\n  lanes: 5", 9, "queue.lanes", "stands twice, here and in line 8"),
    ("a whole section twice", "sink:", "queue:\n  url: x\nsink:", 9, "queue", "here and in line 6"),
    ("tab", "  lanes", "\tlanes", 8, "", "indent with spaces"),
    ("indentation", "  lanes", "   lanes", 8, "", ""),
    ("open bracket", '"!shop.sessions"]', '"!shop.sessions"', 6, "", "close"),
    ("open quote", '"!shop.sessions"', '"!shop.sessions', 11, "", "close the quote"),
    ("two documents", "sink:", "---\nsink:", 9, "", "one connector in one file"),
    ("complex key", "name: shop", "{a: b}: shop", 1, "", "a key that is not a word"),
    ("explicit tag", "5401", "!!python/object:os.system x", 4, "source.server_id", "quotes"),
    ("tag that does not fit", "5401", "!!int x", 4, "source.server_id", "leave the !!tag out"),
    ("undefined variable", "PASSWORD", "PASSWROD", 3, "source.url", "the environment has no PASSWROD"),
    ("default value", "${PASSWORD}", "${PASSWORD:-x}", 3, "source.url", "neither ${NAME} nor ${file:/path}"),
    ("open reference", "${PASSWORD}", "${PASSWORD", 3, "source.url", "neither ${NAME}"),
    ("missing file", "${PASSWORD}", "${file:/nowhere/x}", 3, "source.url", "No such file or directory"),
    ("snapshot", "server_id: 5401", "server_id: 5401\n  snapshot: {parallel: 0}", 5, "source.snapshot.parallel", "1"),
    ("replicas", "server_id: 5401", "server_id: 5401\n  snapshot: {replicas: [mysql://c]}", 5, _REPLICAS, "how far"),
    ("replica", "server_id: 5401", "server_id: 5401\n  snapshot: {replicas: [redis://c]}", 5, _REPLICAS, "mysql://"),
    ("no replicas", "server_id: 5401", "server_id: 5401\n  snapshot: {max_replica_lag_seconds: 3}", 5, _LAG, "needs replicas"),
    ("every", "sink:", "verify: {every: 6}\nsink:", 9, "verify.every", "put it in quotes"),
    ("length of time", "sink:", "verify: {every: soon}\nsink:", 9, "verify.every", "90s, 30m, 6h or 1d"),
    ("mask without salt", "server_id: 5401", "server_id: 5401\n  mask_columns: [a.b.c]", 5, "source.mask_columns", "needs"),
    ("column pattern", "server_id: 5401", "server_id: 5401\n  exclude_columns: [b.c]", 5, "source.exclude_columns", "db.table"),
    ("kafka's key", "lanes: 4", "topic: x", 8, "queue.topic", "topic is for Kafka"),
    ("lanes and order", "sink:", "order: transaction\nsink:", 8, "queue.lanes", "order: transaction has one lane"),
    ("choice", "sink:", "order: transactions\nsink:", 9, "order", "did you mean `transaction`?"),
    ("no sink", "sink:\n  url: postgresql://app:x@127.0.0.1/app\n", "", 1, "sink", "a connector needs a sink"),
    ("both", "sink:", "sinks: {a: {url: 'sqlite:///a'}}\nsink:", 9, "sinks", "both `sink` and `sinks`"),
    ("no coordination", "redis://127.0.0.1:6379/0", "kafka://127.0.0.1:9092", 1, "coordination", "is needed"),
    ("half in memory", "sink:", "coordination: {url: 'memory://'}\nsink:", 7, "queue.url", "together"),
    ("template", "sink:", 'sink:\n  table: "{schema}"', 10, "sink.table", "only {db} and {table}"),
]  # fmt: skip


@pytest.mark.parametrize(("before", "after", "line", "key", "words"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
def test_what_is_wrong_is_named_with_file_line_key_and_what_was_expected(
    tmp_path: Path, before: str, after: str, line: int, key: str, words: str
) -> None:
    assert before in GOOD
    error = refused(tmp_path, GOOD.replace(before, after))
    assert (error.file, error.line, error.key) == (str(tmp_path / "shop.yaml"), line, key), str(error)
    assert words in str(error)
    assert str(error).startswith(f"{tmp_path / 'shop.yaml'}:{line}:")


def test_all_that_is_wrong_is_found_at_once_in_the_order_of_the_lines(tmp_path: Path) -> None:
    text = (
        GOOD.replace("5401", "x").replace("lanes", "lanse").replace("postgresql", "oracle").replace("shop\n", "S\n", 1)
    )
    found = problems([written(tmp_path, text)], {"PASSWORD": "x"})
    assert [(error.line, error.key) for error in found] == [
        (1, "name"),
        (4, "source.server_id"),
        (8, "queue.lanse"),
        (10, "sink.url"),
    ]


def test_every_missing_reference_is_found_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("PASSWORD", "A").replace("app:x@", "app:${B}@")
    assert [error.line for error in problems([written(tmp_path, text)], {})] == [3, 10]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty"),
        (b"# only a comment\n", "the file is empty"),
        (b"- name: shop\n", "expected keys with values"),
        (b"name: \xff\n", "not UTF-8"),
        (b"name: a\x07b\n", "a control character"),
        (b'name: "\\ud800"\n', "half of a character"),
        (b"[" * 100_000, "nested too deeply"),
        (b"#" * (MOST_FILE_BYTES + 1), "larger than"),
        (b"a: &a [x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b]\n"
         b"d: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c]\ne: &e [*d, *d, *d, *d, *d, *d, *d, *d, *d]\n"
         b"f: &f [*e, *e, *e, *e, *e, *e, *e, *e, *e]\n", "too many values"),
        (b"name: &a [*a]\n", "an alias that holds itself"),
        (b"name: *secret\n", "cannot begin with *"),
    ],
)  # fmt: skip
def test_a_broken_file_is_one_clear_error(tmp_path: Path, content: bytes, words: str) -> None:
    error = refused(tmp_path, content)
    assert words in str(error)
    assert "secret" not in str(error)


def test_a_file_that_is_not_there_is_a_bad_file() -> None:
    with pytest.raises(ConnectorFileError, match=r"no/where\.yaml: cannot be read: No such file or directory"):
        load("no/where.yaml")


def test_a_folder_is_a_bad_file(tmp_path: Path) -> None:
    with pytest.raises(ConnectorFileError, match="Is a directory"):
        load(tmp_path)


def test_a_byte_order_mark_and_windows_line_ends_are_no_matter(tmp_path: Path) -> None:
    path = written(tmp_path, b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert load(path, {"PASSWORD": "x"}).name == "shop"


def test_words_that_older_yaml_takes_for_truth_or_times_are_text(tmp_path: Path) -> None:
    text = GOOD.replace("name: shop", "name: no").replace("5401", "5401\n  start: 2026-11-23 05:00:00")
    config = loaded(tmp_path, text)
    assert config.name == "no"
    assert config.source.start == "2026-11-23 05:00:00"


def test_anchors_work(tmp_path: Path) -> None:
    text = GOOD + "  tls: &tls {mode: required}\ncoordination:\n  url: redis://127.0.0.1\n  tls: *tls\n"
    config = loaded(tmp_path, text)
    assert config.coordinator.tls == config.all_sinks["sink"].tls


def test_any_password_works_in_a_url(tmp_path: Path) -> None:
    hostile = "p@ss:w/o?r#d%41 +&\\\"'{}[]ü€"
    url = loaded(tmp_path, GOOD, PASSWORD=hostile).source.url
    assert (url.user, url.password, url.host, url.port) == ("cdc", hostile, "127.0.0.1", 3306)


def test_a_user_from_a_reference_is_encoded_too(tmp_path: Path) -> None:
    text = GOOD.replace("cdc:${PASSWORD}", "${WHO}:${PASSWORD}")
    url = loaded(tmp_path, text, WHO="me@work", PASSWORD="a:b").source.url
    assert (url.user, url.password, url.host) == ("me@work", "a:b", "127.0.0.1")


def test_a_reference_outside_the_userinfo_stands_as_it_is(tmp_path: Path) -> None:
    text = GOOD.replace("mysql://cdc:${PASSWORD}@127.0.0.1:3306", "mysql://cdc:${PASSWORD}@${PLACE}")
    url = loaded(tmp_path, text, PLACE="[::1]:3307", PASSWORD="@").source.url
    assert (url.password, url.host, url.port) == ("@", "::1", 3307)


def test_a_whole_url_may_be_a_reference(tmp_path: Path) -> None:
    text = GOOD.replace("mysql://cdc:${PASSWORD}@127.0.0.1:3306", "${URL}")
    assert loaded(tmp_path, text, URL="mysql://u:p%40@h:1").source.url.password == "p@"


def test_a_secret_comes_from_a_file_without_its_line_end(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("from/file\n")
    for reference in (f"${{file:{tmp_path}/password}}", "${file:password}"):
        config = loaded(tmp_path, GOOD.replace("${PASSWORD}", reference))
        assert config.source.url.password == "from/file"


def test_only_one_line_end_is_taken_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "password").write_bytes(b" x \n\r\n")
    config = loaded(tmp_path, GOOD.replace("${PASSWORD}", "${file:password}"))
    assert config.source.url.password == " x \n"


def test_a_doubled_dollar_stands_for_itself(tmp_path: Path) -> None:
    text = GOOD.replace("server_id: 5401", "server_id: 5401\n  mask_salt: a$${PASSWORD}$b")
    salt = loaded(tmp_path, text).source.mask_salt
    assert salt is not None
    assert salt.get_secret_value() == "a${PASSWORD}$b"


def test_a_value_never_changes_the_structure_of_the_file(tmp_path: Path) -> None:
    hostile = "x\n  lanes: 1\nname: other\n# ${PASSWORD}"
    config = loaded(tmp_path, GOOD.replace("server_id: 5401", "server_id: 5401\n  mask_salt: ${SALT}"), SALT=hostile)
    assert config.source.mask_salt is not None
    assert config.source.mask_salt.get_secret_value() == hostile
    assert (config.name, config.queue.lanes) == ("shop", 4)


def test_a_reference_may_stand_for_a_number_and_text_stays_text(tmp_path: Path) -> None:
    text = GOOD.replace("5401", "${ID}\n  mask_salt: ${SALT}\n  heartbeat_seconds: ${BEAT}")
    text += "  create_tables: ${CREATE}\n"
    config = loaded(tmp_path, text, ID="77", SALT="123", BEAT="2.5", CREATE="false")
    assert (config.source.server_id, config.source.heartbeat_seconds) == (77, 2.5)
    assert config.source.mask_salt is not None
    assert config.source.mask_salt.get_secret_value() == "123"
    assert config.all_sinks["sink"].create_tables is False


@pytest.mark.parametrize("value", ["", "x", "1e3", "0x10", "-1", "1_000", "9" * 40, "²"])
def test_a_reference_that_is_no_number_is_refused_where_one_is_expected(tmp_path: Path, value: str) -> None:
    error = refused(tmp_path, GOOD.replace("5401", "${ID}"), ID=value)
    assert (error.line, error.key) == (4, "source.server_id")


def test_a_variable_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    assert "the variable PASSWORD is not UTF-8" in str(refused(tmp_path, GOOD, PASSWORD="\udcff"))


def test_no_error_shows_a_secret(tmp_path: Path) -> None:
    secret = "canary-5f3a"
    broken: list[tuple[str, dict[str, str]]] = [
        (GOOD.replace("mysql://", "mysq://"), {}),
        (GOOD.replace("127.0.0.1:3306", "127.0.0.1:x"), {}),
        (GOOD.replace("${PASSWORD}", f"{secret}/{secret}?{secret}#{secret}"), {}),
        (GOOD.replace("${PASSWORD}@127.0.0.1:3306", f"{secret}"), {}),
        (GOOD.replace("5401", "${PASSWORD}"), {}),
        (GOOD.replace("name: shop", "name: ${PASSWORD}!"), {}),
        (GOOD.replace("server_id: 5401", "server_id: 5401\n  mask_salt: [${PASSWORD}]"), {}),
        (GOOD.replace("lanes: 4", "properties: {sasl.password: ${PASSWORD}}"), {}),
        (GOOD.replace("lanes: 4", f"properties: {secret}"), {}),
        (GOOD.replace("url: mysql", f"url: [{secret}]\n  x: mysql"), {}),
        (GOOD.replace("sink:", "order: ${PASSWORD}\nsink:"), {}),
    ]
    for text, environment in broken:
        for error in problems([written(tmp_path, text)], {"PASSWORD": secret, **environment}):
            assert secret not in str(error) + repr(error)


def test_a_connector_never_shows_its_secrets(tmp_path: Path) -> None:
    secret = "canary-5f3a"
    text = GOOD.replace("server_id: 5401", "server_id: 5401\n  mask_salt: ${PASSWORD}")
    config = loaded(tmp_path, text, PASSWORD=secret)
    assert secret not in repr(config) + str(config) + config.model_dump_json()


def test_a_kafka_queue_never_shows_its_properties(tmp_path: Path) -> None:
    secret = "canary-5f3a"
    queue = "url: kafka://127.0.0.1:9092\n  properties:\n    sasl.password: ${PASSWORD}"
    text = GOOD.replace("url: redis://127.0.0.1:6379/0", queue) + "coordination: {url: redis://127.0.0.1:6379/0}\n"
    config = loaded(tmp_path, text, PASSWORD=secret)
    assert config.queue.properties == {"sasl.password": secret}
    assert secret not in repr(config) + str(config) + repr(config.queue) + str(config.queue)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("mysql://cdc:x@h:1/db?password=x", "mysql://cdc:***@h:1/db"),
        ("mysql://cdc:a/b?c#d@h:1", "mysql://cdc:***@h:1"),
        ("redis://:x@h", "redis://:***@h"),
        ("redis://h:6379/0", "redis://h:6379/0"),
        ("kafka://u:x@one:1,two:2", "kafka://u:***@one:1,two:2"),
        ("sqlite:////a/b.db", "sqlite:////a/b.db"),
    ],
)
def test_a_url_shows_no_password(url: str, shown: str) -> None:
    assert str(Url(url)) == shown


def test_a_copy_of_every_example_validates_as_plain_yaml() -> None:
    """Editors read the files as YAML 1.1 or 1.2: both see the same values."""
    for path in examples():
        plain: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert isinstance(plain, dict)
