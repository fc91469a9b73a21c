"""What PostgreSQL's catalog says of a planned table."""

from cdc.target.postgresql_bulk import TargetTable
from cdc.target.postgresql_connection import Connection
from cdc.target.sql.plan import TablePlan

_CATALOG = """
SELECT a.attname, format_type(a.atttypid, a.atttypmod), quote_ident(a.attname), a.attgenerated = '',
       EXISTS (SELECT FROM pg_index i WHERE i.indrelid = a.attrelid AND NOT i.indisprimary
               AND (i.indisunique OR i.indisexclusion)),
       EXISTS (SELECT FROM pg_constraint c WHERE c.confrelid = a.attrelid AND c.confdeltype IN ('c', 'n', 'd'))
FROM pg_attribute a WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""


def catalogued(connection: Connection, plan: TablePlan) -> TargetTable:
    """Driver errors pass through."""
    rows = connection.execute(_CATALOG, (plan.quoted,)).fetchall()
    formats = {row[0]: row[1] for row in rows}
    computed = {row[0] for row in rows if not row[3]}
    return TargetTable(
        plan=plan,
        formats=tuple(formats[column] for column in plan.columns),
        writable=tuple(row[2] for row in rows if row[3]),
        other_unique=any(row[4] for row in rows),
        cascades=any(row[5] for row in rows),
        computed=frozenset(at for at, column in enumerate(plan.columns) if column in computed),
    )
