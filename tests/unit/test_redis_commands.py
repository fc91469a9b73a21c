"""A command as it goes to Redis: byte for byte what redis-py would send."""

import pytest
from redis.connection import Connection

from cdc.connect.redis import packed


@pytest.mark.parametrize(
    "command",
    [
        ("PING",),
        ("EVALSHA", "a" * 40, 2, "{ü}:lane:0", "", b"", b"\0\r\n\xff", 0, -1, 2**63),
        ("SET", "k", b"x" * 8191),
        ("SET", "k", b"x" * 8192, "PX", 5),
        ("MSET", "k", b"x" * 100_000, "l", b"y" * 100_000),
    ],
    ids=["alone", "all kinds", "just small", "large in the middle", "two large"],
)
def test_a_command_is_packed_as_redis_py_packs_it(command: tuple[str | bytes | int, ...]) -> None:
    assert b"".join(packed(command)) == b"".join(Connection().pack_command(*command))


def test_what_is_large_is_not_copied() -> None:
    large = b"x" * 100_000
    assert any(piece is large for piece in packed(("SET", "k", large)))
