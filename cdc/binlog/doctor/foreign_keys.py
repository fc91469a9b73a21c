"""Captured tables whose rows change by a foreign key's cascade, without a trace in the binlog.

InnoDB does its cascades below the layer that writes the binlog: always at MariaDB, and at MySQL before 9.6 (manual 8.4,
"InnoDB and MySQL Replication", "Replication and CASCADE"). Since MySQL 9.6 the SQL layer does them and logs the child rows,
before the parent's, unless the server was started with innodb_native_foreign_keys=ON (manual 9.7, "Replication and Foreign
Keys").
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping

from cdc.binlog.server import Server
from cdc.model.config import SourceConfig
from cdc.model.finding import Finding, named
from cdc.model.routing import TableFilter

_CHANGES_ROWS = ("CASCADE", "SET NULL", "SET DEFAULT")
_RULES = """
    SELECT CONSTRAINT_SCHEMA, TABLE_NAME, UNIQUE_CONSTRAINT_SCHEMA, REFERENCED_TABLE_NAME, DELETE_RULE, UPDATE_RULE
    FROM information_schema.REFERENTIAL_CONSTRAINTS
    ORDER BY CONSTRAINT_SCHEMA, TABLE_NAME, CONSTRAINT_NAME
"""
_UPGRADE = "upgrade to MySQL 9.6, which logs them; or"
_INSTEAD = "delete and update the child rows by statements of their own, before the parent's, and make the key RESTRICT"


def cascades(config: SourceConfig, server: Server) -> Iterator[Finding]:
    found = _rules(config, server)
    if not found:
        return
    native = server.variables("innodb_native_foreign_keys").get("innodb_native_foreign_keys")
    if native is not None and native.upper() in {"OFF", "0"}:
        yield Finding("ok", "foreign keys", f"cascades are in the binlog: {named(sorted(found))}")
        return
    if native is not None:
        fix = "start the server with innodb_native_foreign_keys=OFF, so that cascades are logged"
    else:
        fix = f"{_UPGRADE} {_INSTEAD}" if server.product().flavor == "mysql" else _INSTEAD
    for child, rules in found.items():
        yield Finding(
            "warning",
            "foreign keys",
            f"{child}: what {named(rules)} do to its rows is not in the binlog, and does not reach the targets",
            fix,
        )


def _rules(config: SourceConfig, server: Server) -> Mapping[str, list[str]]:
    """By captured child table, `ON DELETE CASCADE of shop.orders`. Whether the parent is captured does not matter."""
    captured = TableFilter(config.tables)
    found: dict[str, list[str]] = defaultdict(list)
    for db, table, parent_db, parent, on_delete, on_update in server.query(_RULES):
        if not captured(str(db), str(table)):
            continue
        for event, rule in (("DELETE", str(on_delete)), ("UPDATE", str(on_update))):
            if rule in _CHANGES_ROWS:
                found[f"{db}.{table}"].append(f"ON {event} {rule} of {parent_db}.{parent}")
    return found
