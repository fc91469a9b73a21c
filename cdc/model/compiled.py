"""The compiled parts of the wire format, where they are built; else classes of which nothing is an instance."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cdc.model.encoded import EncodedRows
    from cdc.model.packed import Lanes, PackedMessages, Pieces
else:
    try:
        from cdc.model.encoded import EncodedRows
        from cdc.model.packed import Lanes, PackedMessages, Pieces
    except ImportError:
        EncodedRows = type("EncodedRows", (), {})
        Lanes = type("Lanes", (), {})
        PackedMessages = type("PackedMessages", (), {})
        Pieces = type("Pieces", (), {})

__all__ = ["EncodedRows", "Lanes", "PackedMessages", "Pieces"]
