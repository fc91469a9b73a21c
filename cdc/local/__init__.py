"""Private servers for tests and try-outs, without root and without Docker where the machine allows it."""

from cdc.local.server import Server
from cdc.local.stack import Stack, start_stack
from cdc.local.start import KINDS, start_server

__all__ = ["KINDS", "Server", "Stack", "start_server", "start_stack"]
