"""Replies as the bytes that came: for large or many ones, of which redis-py would make an object for each part."""

import socket
from collections.abc import Mapping, Sequence
from typing import Any

import redis

from cdc.connect.redis import Client, packed
from cdc.model.compiled_received import COMPILED, ReplyReader

_FIRST_BYTES = 256 * 1024
# Of a command: +QUEUED, and a short reply.
_TRANSACTION_BYTES = 64


def takes_raw(client: Client) -> bool:
    """Whether `raw_reply` can be asked: the compiled parts are there, and one server is behind the client."""
    return COMPILED and isinstance(client, redis.Redis)


def raw_reply(client: redis.Redis, *command: str | bytes | int, expected_bytes: int = _FIRST_BYTES) -> bytearray:
    """The whole reply, also where it is an error (it then begins with `-`). Sent once, on a connection of the client's pool.
    Raises cdc.connect.redis.ERRORS; the connection is then given up, since the rest of a reply may be on its way."""
    pool = client.connection_pool
    connection: Any = pool.get_connection()
    try:
        connection.send_packed_command(packed(command))
        return _whole(connection._sock, expected_bytes)
    except BaseException:
        connection.disconnect()
        raise
    finally:
        pool.release(connection)


def raw_transaction(
    client: redis.Redis, watched: str, expected: Mapping[str, bytes], commands: Sequence[bytes | bytearray], count: int
) -> bytearray | None:
    """Does `count` commands, packed, in one step, if the hash `watched` then has these fields (WATCH, MULTI, EXEC:
    https://redis.io/docs/latest/develop/using-commands/transactions/). None where it had not; else all replies, one after the
    other: of MULTI, of each command, which tells that it is queued or why not, and of EXEC. Otherwise as `raw_reply`."""
    pool = client.connection_pool
    connection: Any = pool.get_connection()
    try:
        connection.send_packed_command(packed(("WATCH", watched)) + packed(("HMGET", watched, *expected)))
        connection.read_response()
        found = connection.read_response()
        if found != [*expected.values()]:
            connection.send_packed_command(packed(("UNWATCH",)))
            connection.read_response()
            return None
        connection.send_packed_command([*packed(("MULTI",)), *commands, *packed(("EXEC",))])
        return _whole(connection._sock, _TRANSACTION_BYTES * (count + 1), replies=count + 2)
    except BaseException:
        connection.disconnect()
        raise
    finally:
        pool.release(connection)


def _whole(sock: socket.socket, expected_bytes: int, replies: int = 1) -> bytearray:
    reply = ReplyReader(expected_bytes, replies)
    fed = 0
    while missing := reply.missing(fed):
        if fed + missing > len(reply.buffer):
            reply.grow(max(len(reply.buffer) * 3 // 2, fed + missing))
        with memoryview(reply.buffer)[fed:] as room:
            got = sock.recv_into(room)
        if not got:
            raise ConnectionResetError("Redis closed the connection within a reply")
        fed += got
    return reply.end(fed)
