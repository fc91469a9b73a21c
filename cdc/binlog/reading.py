"""How events become items at a source, wherever its events come from: a server, an archive, files alone."""

from collections.abc import Callable, Sequence

from cdc.binlog.capture import Capture
from cdc.binlog.decoder import load
from cdc.binlog.port import BinlogFile
from cdc.binlog.scan import Recaller, Scanner
from cdc.binlog.schema_policy import SchemaPolicy
from cdc.binlog.transactions import Rules, Transactions
from cdc.model.checkpoint import SourcePoint
from cdc.model.config import SourceConfig
from cdc.model.table_version import TableVersion


def transactions_from(
    point: SourcePoint,
    tables: Sequence[TableVersion],
    config: SourceConfig,
    flavor: str,
    *,
    scanner: Callable[[], Scanner],
    files: Callable[[], Sequence[BinlogFile]],
    folds_names: bool = False,
) -> Transactions:
    """As `config` wants them, from the boundary `point` on, where the schema history is `tables`. `scanner`, `files` (oldest
    first) find again what XA transactions prepared, and are asked only then. `folds_names`: as `Rules.folded_names`."""
    policy = SchemaPolicy(config.schema_changes, config.destructive_changes)
    rules = Rules(flavor, policy, folds_names, config.include_query)
    return Transactions(point, Capture(config, load()), rules, tables=tables, recall=Recaller(scanner, files))
