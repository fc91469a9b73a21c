"""What is sent to PostgreSQL for a group of rows."""

import pytest

from cdc.model.errors import RowRefused
from cdc.model.schema import Column, TableSchema
from cdc.target.postgresql_bulk import STAGE, Shape, TargetTable, copy_text, grouped, key_records, records
from cdc.target.sql.dialects import POSTGRESQL
from cdc.target.sql.names import TargetName, quote
from cdc.target.sql.plan import TablePlan
from cdc.target.sql.values import converter

COLUMNS = (Column("k%s", "int", nullable=False), Column("t", "text"), Column("b", "blob"), Column("j", "json"))


def _table() -> TargetTable:
    names = tuple(column.name for column in COLUMNS)
    quoted = tuple(quote(POSTGRESQL, name) for name in names)
    changes = ((i, converter(POSTGRESQL, column)) for i, column in enumerate(COLUMNS))
    plan = TablePlan(
        schema=TableSchema("d", "t", COLUMNS, ("k%s",)),
        name=TargetName(None, "t"),
        quoted='"t"',
        source_columns=names,
        columns=names,
        quoted_columns=quoted,
        key=("k%s",),
        key_indexes=(0,),
        quoted_key=quoted[:1],
        converters=tuple((i, change) for i, change in changes if change),
        key_converters=(),
        types=(),
    )
    return TargetTable(plan, ("integer", "character varying(9)", "bytea", "jsonb"), quoted, False, False)


TABLE = _table()
WHOLE = Shape(TABLE, (0, 1, 2, 3))


def _row(key: object, text: object = "", blob: object = None, json: object = None) -> dict[str, object]:
    return {"k%s": key, "t": text, "b": blob, "j": json}


@pytest.mark.parametrize("others", [[], [_row(7, None)]], ids=["text alone", "beside NULL"])
@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("", b""),
        ("plain", b"plain"),
        ("a\tb", rb"a\tb"),
        ("a\nb\rc", rb"a\nb\rc"),
        ("\\", rb"\\"),
        ("\\N", rb"\\N"),
        ("\\.", rb"\\."),
        ("ü€😀", "ü€😀".encode()),
    ],
)
def test_copy_text_escapes_what_the_format_reads_as_its_own(text: str, sent: bytes, others: list[object]) -> None:
    first = copy_text(WHOLE, [_row(1, text), *others]).split(b"\n")[0]  # type: ignore[list-item]
    assert first == b"1\t" + sent + b"\t\\N\t\\N"


def test_copy_text_gives_bytes_as_hex_and_ends_each_row() -> None:
    rows = [_row(1, "a", "AP8=", '{"a": "\\n"}'), _row(2.5, None, "")]
    assert copy_text(WHOLE, rows) == b'1\ta\t\\\\x00ff\t{"a": "\\\\n"}\n2.5\t\\N\t\\\\x\t\\N\n'  # type: ignore[arg-type]


def test_text_that_is_no_unicode_is_refused() -> None:
    with pytest.raises(RowRefused):
        copy_text(WHOLE, [_row(1, "\ud800")])  # type: ignore[list-item]


def test_rows_of_other_columns_are_refused_not_filled_with_null() -> None:
    broken = {"k%s": 1, "t": "x", "b": None, "unknown": 1}
    for send in (copy_text, records):
        with pytest.raises(RowRefused):
            send(WHOLE, [broken])  # type: ignore[operator]
    for row in ({"t": "x"}, {"k%s": 1, "unknown": 2}):
        with pytest.raises(RowRefused):
            grouped(lambda indexes: Shape(TABLE, indexes), TABLE.plan, [row])  # type: ignore[list-item]


def test_rows_are_grouped_by_the_columns_they_have() -> None:
    rows = [_row(1), {"k%s": 2, "t": "x"}, _row(3), {"t": "y", "k%s": 4}]
    groups = grouped(lambda indexes: Shape(TABLE, indexes), TABLE.plan, rows)  # type: ignore[arg-type]
    assert [(shape.indexes, [row["k%s"] for row in members]) for shape, members in groups] == [
        ((0, 1, 2, 3), [1, 3]),
        ((0, 1), [2, 4]),
    ]


def test_records_are_json_with_bytes_as_hex() -> None:
    assert records(WHOLE, [_row(1, 'a"', "AP8=")]) == '[{"k%s":1,"t":"a\\"","b":"\\\\x00ff","j":null}]'  # type: ignore[list-item]
    assert key_records(Shape(TABLE, (0,)), [(1,), (2,)]) == '[{"k%s":1},{"k%s":2}]'


def test_records_are_read_by_the_columns_own_types_so_that_nothing_is_cut_off() -> None:
    assert WHOLE.upsert_records == (
        'INSERT INTO "t" ("k%%s", "t", "b", "j") OVERRIDING SYSTEM VALUE SELECT s."k%%s", s."t", s."b", s."j"::jsonb'
        ' FROM json_to_recordset(%s::json) AS s("k%%s" integer, "t" character varying(9), "b" bytea, "j" text)'
        ' ON CONFLICT ("k%%s") DO UPDATE SET "t" = EXCLUDED."t", "b" = EXCLUDED."b", "j" = EXCLUDED."j"'
    )


def test_an_update_never_sets_the_key() -> None:
    assert Shape(TABLE, (0, 1)).update_stage == (
        f'UPDATE "t" AS t SET "t" = s."t" FROM {STAGE} AS s WHERE t."k%s" = s."k%s"'
    )
    assert Shape(TABLE, (0,)).update_stage.startswith('UPDATE "t" AS t SET "k%s" = s."k%s" FROM')


@pytest.mark.parametrize("kind", ["delete", "update", "upsert"])
def test_what_waits_for_a_held_row_names_columns_and_parameter_as_postgresql_reads_them(kind: str) -> None:
    sql = WHOLE.records_behind(kind, "held", "$3")
    assert 'held, json_to_recordset($3::json) AS s("k%s" integer' in sql
    assert "%%" not in sql
