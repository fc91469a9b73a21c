"""Rows read by SELECT: the same values as those of rows events, in chunks of key order (cdc.binlog.rows_port)."""

from cdc.binlog.selecting.chunks import Chunks

__all__ = ["Chunks"]
