"""The schema history: docs/decisions/0009-schema-history.md."""

from cdc.binlog.history.context import Context, Outcome, Place, Session
from cdc.binlog.history.history import History

__all__ = ["Context", "History", "Outcome", "Place", "Session"]
