"""The compiled recogniser of small transactions, where it is built; else None: events are then read one by one."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cdc.binlog.whole_groups import Group, WholeGroups
else:
    try:
        from cdc.binlog.whole_groups import Group, WholeGroups
    except ImportError:
        Group = WholeGroups = None

__all__ = ["Group", "WholeGroups"]
