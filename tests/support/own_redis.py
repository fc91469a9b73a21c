"""A Redis with options of its own, for one test: the session's server would not bear them."""

import os
import socket
from pathlib import Path

import pytest

from cdc.local import Server, start_server
from cdc.local.ports import LOOPBACK, free_port
from cdc.model.errors import LocalServerError

PROGRAMS = ("path", "packages", "wheel")
"""The ways that give the program itself: for a Sentinel, and for ports besides the one that a container opens."""


def start_own_redis(directory: Path, *options: str, programs_only: bool = False, port: int | None = None) -> Server:
    """Started, and the caller's to remove; where it cannot be had the test skips, and fails where CI=true."""
    try:
        if programs_only:
            return start_server("redis", directory, options=options, port=port, ways=PROGRAMS)
        return start_server("redis", directory, options=options, port=port)
    except LocalServerError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error), pytrace=False)
        pytest.skip(str(error))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def start_cluster_node(directory: Path) -> Server:
    """A node of a Redis Cluster, without slots yet. Its bus takes the port 10,000 above (redis.io, "cluster ports")."""
    port = free_port()
    while port > 55_535 or not _is_free(port + 10_000):
        port = free_port()
    return start_own_redis(directory, "--cluster-enabled", "yes", programs_only=True, port=port)
