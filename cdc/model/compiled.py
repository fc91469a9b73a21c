"""The compiled parts of the wire format, where they are built; else classes of which nothing is an instance."""

try:
    from cdc.model.encoded import EncodedRows
    from cdc.model.packed import Lanes, PackedMessages, Pieces
except ImportError:
    from cdc.model.not_compiled import EncodedRows, Lanes, PackedMessages, Pieces  # type: ignore[assignment]

__all__ = ["EncodedRows", "Lanes", "PackedMessages", "Pieces"]
