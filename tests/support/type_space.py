"""Every type that a column can have at a source, as data: its SQL definition, values at its edges and random ones as SQL
literals, how SELECT is asked so that nothing is lost on the way, and what a change event must hold then.

`kinds(flavor)` lists them for `mysql` or `mariadb`. A test makes columns of them in any combination:

    kind.definition                  INT UNSIGNED
    kind.edges, kind.random(rng)     SQL literals for INSERT and UPDATE, with the sql_mode of `SQL_MODE`
    kind.select.format(c="`c1`")     an expression whose text …
    kind.render(text)                … becomes the value of the change event
    kind.column_named("c1")          the column as the decoder describes it, and as the schema history must know it
"""

from tests.support.type_kind import Kind
from tests.support.type_numbers import dates, numbers
from tests.support.type_special import geometries, of_one_server
from tests.support.type_texts import UNREADABLE, bytes_, choices, texts

__all__ = ["SQL_MODE", "UNREADABLE", "Kind", "kinds"]

SQL_MODE = "ALLOW_INVALID_DATES"
"""Not strict: what a column cannot hold is cut or replaced by the server, and the values are compared as they then are."""


def kinds(flavor: str) -> list[Kind]:
    """All of `mysql` or `mariadb`."""
    found = [*numbers(), *dates(), *texts(flavor), *bytes_(), *choices(), *geometries(flavor), *of_one_server()]
    return [kind for kind in found if kind.server in ("", flavor)]
