"""What reads stretches of the binlog in one step, where it is built; else None: events are then read one by one."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cdc.binlog.stretches import Found, Stretches
else:
    try:
        from cdc.binlog.stretches import Found, Stretches
    except ImportError:
        Found = Stretches = None

__all__ = ["Found", "Stretches"]
