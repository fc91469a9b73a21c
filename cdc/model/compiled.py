"""The compiled parts of the wire format, where they are built; else classes of which nothing is an instance."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cdc.model.encoded import EncodedRows
    from cdc.model.packed import Lanes, PackedMessages, Pieces
    from cdc.model.stretch import Stretch
    from cdc.model.stretch_writer import OpenTransaction, StretchTexts, add_stretch
else:
    try:
        from cdc.model.encoded import EncodedRows
        from cdc.model.packed import Lanes, PackedMessages, Pieces
        from cdc.model.stretch import Stretch
        from cdc.model.stretch_writer import OpenTransaction, StretchTexts, add_stretch
    except ImportError:
        EncodedRows = type("EncodedRows", (), {})
        Lanes = type("Lanes", (), {})
        PackedMessages = type("PackedMessages", (), {})
        Pieces = type("Pieces", (), {})
        Stretch = type("Stretch", (), {})
        OpenTransaction = type("OpenTransaction", (), {})
        StretchTexts = type("StretchTexts", (), {})
        add_stretch = None

__all__ = [
    "EncodedRows",
    "Lanes",
    "OpenTransaction",
    "PackedMessages",
    "Pieces",
    "Stretch",
    "StretchTexts",
    "add_stretch",
]
