"""Bytes of table maps and rows events to rows: one contract (`port.py`), implementations chosen by `load`."""

import os
from importlib import import_module

from cdc.binlog.decoder.port import Decoder
from cdc.model.errors import FatalError

IMPLEMENTATIONS = {
    "python": "cdc.binlog.decoder.python:PythonDecoder",
    "compiled": "cdc.binlog.decoder.compiled_decoder:CompiledDecoder",
}


def load(kind: str | None = None) -> Decoder:
    """The decoder named by `kind`, else by CDC_DECODER; without a choice the compiled one, where it was built, else the plain
    Python one.

    A forced choice never falls back: raises FatalError that says why it could not be loaded.
    """
    chosen = kind or os.environ.get("CDC_DECODER")
    if not chosen:
        try:
            return _loaded("compiled")
        except FatalError:
            return _loaded("python")
    if chosen not in IMPLEMENTATIONS:
        raise FatalError(
            f"there is no decoder '{chosen}'", hint=f"set CDC_DECODER to one of: {', '.join(IMPLEMENTATIONS)}"
        )
    return _loaded(chosen)


def _loaded(kind: str) -> Decoder:
    module, _, name = IMPLEMENTATIONS[kind].partition(":")
    try:
        decoder: Decoder = getattr(import_module(module), name)()
    except (ImportError, ValueError) as error:  # ValueError: built against another version of what it uses
        raise FatalError(
            f"the {kind} decoder could not be loaded: {error}",
            hint="unset CDC_DECODER to read with the plain Python decoder, or install again with a C compiler and Python's "
            "headers, which builds the compiled one",
        ) from error
    return decoder
