"""What the source's user may do."""

from collections.abc import Iterator

from cdc.binlog.server import Server
from cdc.connect.grants import Grants, parse_grants
from cdc.model.config import SourceConfig
from cdc.model.finding import Finding

# MariaDB 10.5 renamed REPLICATION CLIENT to BINLOG MONITOR and split SUPER; each right by all of its names.
_RIGHTS = {
    "REPLICATION SLAVE": ("REPLICATION SLAVE", "REPLICATION REPLICA"),
    "REPLICATION CLIENT": ("REPLICATION CLIENT", "BINLOG MONITOR", "SUPER"),
}


def rights(config: SourceConfig, server: Server) -> Iterator[Finding]:
    grants = _grants(server)
    for right, names in _RIGHTS.items():
        if any(grants.everywhere(name) for name in names):
            yield Finding("ok", "rights", right)
        else:
            yield Finding(
                "error", "rights", f"the user lacks {right}", f"GRANT {right} ON *.* TO the user of source.url"
            )
    yield from _select_rights(config, grants)


def _select_rights(config: SourceConfig, grants: Grants) -> Iterator[Finding]:
    """Without SELECT on a table information_schema hides it, so it is the patterns that are looked at."""
    for pattern in config.tables:
        if pattern.startswith("!"):
            continue
        db, _, table = pattern.partition(".")
        if grants.on_table("SELECT", db, table):
            yield Finding("ok", "rights", f"SELECT on {pattern}")
        else:
            yield Finding(
                "error",
                "rights",
                f"the user lacks SELECT on {pattern}: tables cannot be described",
                f"GRANT SELECT ON {db if '*' not in db else '*'}.* TO the user of source.url",
            )


def process_right(config: SourceConfig, server: Server) -> Iterator[Finding]:
    """Without GTIDs it is the list of running transactions that tells when what the binlog has shows in the tables, and of
    others' transactions only PROCESS shows any (MySQL manual, "The INFORMATION_SCHEMA INNODB_TRX Table")."""
    if server.variables("gtid_mode").get("gtid_mode", "ON").upper() == "ON":
        return
    if _grants(server).everywhere("PROCESS"):
        yield Finding("ok", "rights", "PROCESS")
    else:
        yield Finding(
            "warning",
            "rights",
            "the user lacks PROCESS: at a source without GTIDs rows cannot be read from tables (snapshot, verify)",
            "GRANT PROCESS ON *.* TO the user of source.url, or switch GTIDs on",
        )


def _grants(server: Server) -> Grants:
    """The grants of who is connected, those of its active roles included."""
    texts = [str(row[0]) for row in server.query("SHOW GRANTS")]
    if server.product().flavor == "mysql":
        roles = str(server.query("SELECT CURRENT_ROLE()")[0][0])
        if roles != "NONE":
            texts = [str(row[0]) for row in server.query(f"SHOW GRANTS FOR CURRENT_USER() USING {roles}")]
    return parse_grants(texts)
