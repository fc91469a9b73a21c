"""Which decoder a reader on this machine has."""

import os

from cdc.binlog.decoder import load
from cdc.model.errors import CdcError
from cdc.model.finding import Finding


def decoder() -> Finding:
    try:
        name = load().name
    except CdcError as error:
        return Finding("error", "decoder", error.message, error.hint)
    if name == "compiled" or os.environ.get("CDC_DECODER"):
        return Finding("ok", "decoder", name)
    return Finding(
        "ok", "decoder", f"{name}: the compiled one, which is many times faster, was not built at installation"
    )
