"""Bytes of table maps and rows events to rows: one contract (`port.py`), implementations chosen by `load`."""

import os
from importlib import import_module

from cdc.binlog.decoder.port import Decoder
from cdc.model.errors import FatalError

IMPLEMENTATIONS = {
    "python": "cdc.binlog.decoder.python:PythonDecoder",
    "compiled": "cdc.binlog.decoder.compiled:CompiledDecoder",
}


def load(kind: str | None = None) -> Decoder:
    """The decoder named by `kind`, else by CDC_DECODER, else the plain Python one.

    A forced choice never falls back: raises FatalError that says why it could not be loaded.
    """
    chosen = kind or os.environ.get("CDC_DECODER") or "python"
    if chosen not in IMPLEMENTATIONS:
        raise FatalError(
            f"there is no decoder '{chosen}'", hint=f"set CDC_DECODER to one of: {', '.join(IMPLEMENTATIONS)}"
        )
    module, _, name = IMPLEMENTATIONS[chosen].partition(":")
    try:
        decoder: Decoder = getattr(import_module(module), name)()
    except ImportError as error:
        raise FatalError(
            f"the {chosen} decoder could not be loaded: {error}",
            hint="unset CDC_DECODER to read with the plain Python decoder, or install a build that has this one",
        ) from error
    return decoder
