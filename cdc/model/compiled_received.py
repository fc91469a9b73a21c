"""The compiled parts of the sink's path, where they are built; else stand-ins that leave all to plain objects."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cdc.model.received import ReceivedBlock, ReceivedChange, ReplyReader, one_version, tally
    from cdc.model.received_rows import ReceivedRows, compact_received

    COMPILED: bool
else:
    try:
        from cdc.model.received import ReceivedBlock, ReceivedChange, ReplyReader, one_version, tally
        from cdc.model.received_rows import ReceivedRows, compact_received

        COMPILED = True
    except ImportError:
        COMPILED = False
        ReceivedBlock, ReceivedChange, ReceivedRows, ReplyReader = (
            type(name, (), {}) for name in ("ReceivedBlock", "ReceivedChange", "ReceivedRows", "ReplyReader")
        )

        def one_version(_changes: list[Any]) -> bool:
            return False

        def tally(_changes: list[Any]) -> None:
            return None

        def compact_received(_changes: list[Any], _schema_of: Any, _upsert: bool) -> None:
            return None


__all__ = [
    "COMPILED",
    "ReceivedBlock",
    "ReceivedChange",
    "ReceivedRows",
    "ReplyReader",
    "compact_received",
    "one_version",
    "tally",
]
