"""How refused rows are told from others at PostgreSQL: by COPY's line numbers, with temporary tables that outlive refusals."""

import secrets
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit, urlunsplit

import pytest

from cdc.local import Server
from cdc.model.batch import TableBatch
from cdc.model.change import Row, Value
from cdc.model.errors import RowRefused
from cdc.model.schema import Column, TableSchema
from cdc.target.port import LaneWriter, RowsRefused
from tests.support.targets import ORDERS, Place, inserts, moved, order, updates, write

NOTES = TableSchema(
    "shop",
    "notes",
    (
        Column("id", "int", nullable=False),
        Column("a", "text", charset="utf8mb4"),
        Column("b", "text", charset="utf8mb4"),
    ),
    ("id",),
)


@pytest.fixture
def place(pg_db: str) -> Place:
    return Place("postgresql", pg_db)


@pytest.fixture
def open_writer() -> Iterator[Callable[[Place], LaneWriter]]:
    opened = []

    def one(place: Place) -> LaneWriter:
        target = place.open()
        writer = target.writer(20.0)
        opened.append((target, writer))
        writer.take_over("0", 5)
        return writer

    yield one
    for target, writer in opened:
        writer.close()
        target.close()


@pytest.fixture
def writer(place: Place, open_writer: Callable[[Place], LaneWriter]) -> LaneWriter:
    return open_writer(place)


@pytest.fixture
def latin1(postgresql: Server) -> Iterator[Place]:
    """A database that has no characters but Latin-1's."""
    name = f"t_{secrets.token_hex(4)}"
    server = Place("postgresql", postgresql.url)
    server.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'")
    yield Place("postgresql", urlunsplit(urlsplit(postgresql.url)._replace(path=f"/{name}")))
    server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _named(writer: LaneWriter, *batches: TableBatch) -> list[tuple[str, object]]:
    with pytest.raises(RowsRefused) as caught:
        writer.apply(batches, savepoint=True)
    return [(row.table, row.key[0]) for row in caught.value.rows]


def _note(number: int, bad: str, length: int) -> Row:
    """The bad character at the beginning, in the middle and at the end of values of many lengths, lines told from others."""
    text = "\u00e9\n\\.\t" * (number * length % (length + 1))
    at = (0, len(text) // 2, len(text))[number % 3]
    return {"id": number, "a": "x" * number, "b": text[:at] + bad + text[at:]}


@pytest.mark.parametrize("length", [1, 700, 20_000])
@pytest.mark.parametrize(("encoding", "bad"), [("utf8", "\0"), ("latin1", "\0"), ("latin1", "\u20ac")])
def test_the_line_of_a_character_that_the_server_lacks_is_its_row(
    encoding: str,
    bad: str,
    length: int,
    request: pytest.FixtureRequest,
    open_writer: Callable[[Place], LaneWriter],
) -> None:
    """Were it another one, a good row would be parked: psycopg sends and the server converts text in pieces, not in lines."""
    place: Place = request.getfixturevalue("place" if encoding == "utf8" else encoding)
    writer = open_writer(place)
    refused = [0, 1, 2, 17, 18, 39, 40, 58, 59]
    rows = [_note(number, bad if number in refused else "", length) for number in range(60)]
    progress = writer.begin()
    assert _named(writer, inserts(*rows, schema=NOTES)) == [("notes", number) for number in refused]
    writer.apply([inserts(*(row for row in rows if row["id"] not in refused), schema=NOTES)], savepoint=True)
    writer.commit(moved(progress, 1))
    found = place.rows("notes", ["id", "b"])
    assert found == [(row["id"], row["b"]) for row in rows if row["id"] not in refused]


def test_very_many_refused_rows_are_named_in_several_steps(writer: LaneWriter) -> None:
    writer.begin()
    left = {n: order(n, "x" * (41 if n % 3 else 1)) for n in range(1200)}
    asked = 0
    while any(n % 3 for n in left):
        named = _named(writer, inserts(*left.values()))
        assert all(isinstance(n, int) and n % 3 for _, n in named)
        for _, n in named:
            del left[int(str(n))]
        asked += 1
    assert len(left) == 400
    assert asked == 2
    writer.apply([inserts(*left.values())], savepoint=True)


def test_rows_of_partial_updates_and_of_later_tables_are_named_too(writer: LaneWriter, place: Place) -> None:
    other = TableSchema("shop", "other", ORDERS.columns, ORDERS.key)
    write(writer, inserts(*map(order, range(9))), inserts(*map(order, range(9)), schema=other))
    progress = writer.begin()
    short: list[dict[str, Value]] = [{"id": n, "note": "short"} for n in range(9)]
    good = updates(*short)
    bad = TableBatch(other, deletes=[(7,)])
    bad.updates += [{"id": n, "note": "x" * (50 if n in {2, 5} else 1)} for n in range(6)]
    assert _named(writer, good, bad) == [("other", 2), ("other", 5)]
    bad.updates[:] = [row for row in bad.updates if row["id"] not in {2, 5}]
    writer.apply([good, bad], savepoint=True)
    writer.commit(moved(progress, 1))
    assert {note for _, note, _ in place.rows()} == {"short"}
    assert [key for key, note, _ in place.rows("other") if note == "x"] == [0, 1, 3, 4]
    assert [key for key, _, _ in place.rows("other")] == [0, 1, 2, 3, 4, 5, 6, 8]


def test_what_no_type_refuses_is_not_named(writer: LaneWriter, place: Place) -> None:
    """A data exception of a CHECK's own expression: the values are good for a table without it."""
    place.execute("CREATE TABLE orders (id int PRIMARY KEY, note varchar(40), total int CHECK (10 / total < 5))")
    writer.begin()
    with pytest.raises(RowRefused, match="22012") as caught:
        writer.apply([inserts(order(1, total=10), order(2, total=0))], savepoint=True)
    assert not isinstance(caught.value, RowsRefused)
    writer.apply([inserts(order(1, total=10))], savepoint=True)


def test_a_refusal_leaves_no_rows_of_earlier_calls_in_the_staging_table(writer: LaneWriter, place: Place) -> None:
    """They would be written a second time with the next call's, over what came in between."""
    write(writer, inserts(*(order(n, "first") for n in range(300))))
    progress = writer.begin()
    writer.apply([inserts(*(order(n, "staged") for n in range(300)))])
    writer.apply([updates(order(7, "newer"))], savepoint=True)
    with pytest.raises(RowRefused):
        writer.apply([inserts(order(1, "x" * 41), order(2, "x"))], savepoint=True)
    writer.apply([inserts(*(order(n, "later") for n in range(1000, 1300)))], savepoint=True)
    writer.commit(moved(progress, 2))
    assert {key: note for key, note, _ in place.rows()}[7] == "newer"


@pytest.mark.parametrize("unique", [False, True])
def test_refusals_make_no_temporary_tables_but_the_first(writer: LaneWriter, place: Place, unique: bool) -> None:
    """To make one takes the server tens of milliseconds on a busy disk."""
    place.execute("CREATE TABLE orders (id int PRIMARY KEY, note varchar(40), total int)")
    if unique:
        place.execute("CREATE UNIQUE INDEX orders_total ON orders (total)")
    write(writer, inserts(order(0, total=-1)))
    progress = writer.begin()
    bad = order(1, "x", -1) if unique else order(1, "x" * 41)
    for number in range(2, 22):
        with pytest.raises(RowRefused):
            writer.apply([inserts(bad, order(number, total=number))], savepoint=True)
    writer.commit(moved(progress, 1))
    found = place.execute(r"SELECT relname FROM pg_class WHERE relname LIKE '\_cdc\_stage\_%' ORDER BY 1")
    assert found == ([("_cdc_stage_1",), ("_cdc_stage_2",)] if unique else [("_cdc_stage_1",)])


def test_values_change_places_between_updates_and_inserts_of_one_call(writer: LaneWriter, place: Place) -> None:
    place.execute("CREATE TABLE orders (id int PRIMARY KEY, note varchar(40), total int UNIQUE)")
    write(writer, inserts(order(1, "a", 1), order(2, "b", 2), order(3, "c", 3)))
    batch = TableBatch(ORDERS, deletes=[(3,)], updates=[order(1, "a", 2), order(2, "b", 3)], inserts=[order(4, "d", 1)])
    taken = TableBatch(ORDERS, updates=[order(1, "a", 2), order(2, "b", 3)], inserts=[order(4, "d", 1)])
    for again in range(2):
        progress = writer.begin()
        with pytest.raises(RowRefused, match="orders_total_key"):
            writer.apply([taken], savepoint=True)
        writer.apply([batch], savepoint=True)
        if not again:
            writer.rollback()
    writer.commit(moved(progress, 2))
    assert place.rows() == [(1, "a", 2), (2, "b", 3), (4, "d", 1)]
