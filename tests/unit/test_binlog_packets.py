"""Packets over a real socket pair: split, joined, cut, silent, closed."""

import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest

from cdc.binlog.packets import PacketReader
from cdc.model.errors import SourceUnavailable

WHOLE = 0xFFFFFF


def packet(payload: bytes, number: int) -> bytes:
    return struct.pack("<I", len(payload))[:3] + bytes([number & 0xFF]) + payload


class Pair:
    def __init__(self, silence_seconds: float = 5.0) -> None:
        self.server, client = socket.socketpair()
        self.reader = PacketReader(client, "here:3306", silence_seconds)

    def send(self, data: bytes) -> threading.Thread:
        """In a thread: more than the kernel's buffer would block."""
        thread = threading.Thread(target=self.server.sendall, args=(data,))
        thread.start()
        return thread

    def read(self, wait_seconds: float = 5.0) -> bytes | None:
        payload = self.reader.packet(lambda: wait_seconds)
        return None if payload is None else bytes(payload)


@pytest.fixture
def pair() -> Iterator[Pair]:
    pair = Pair()
    yield pair
    pair.reader.close()
    pair.server.close()


def test_packets_come_whole_however_the_bytes_arrive(pair: Pair) -> None:
    payloads = [b"", b"a", b"b" * 300, b"c" * 70_000]
    data = b"".join(packet(payload, number) for number, payload in enumerate(payloads, 1))
    for step in (1, 3, 4096):
        pair.reader._number = 1

        def dribble(step: int = step) -> None:
            for at in range(0, len(data), step):
                pair.server.sendall(data[at : at + step])

        thread = threading.Thread(target=dribble)
        thread.start()
        assert [pair.read() for _ in payloads] == payloads
        thread.join()


def test_a_payload_of_several_packets_is_joined(pair: Pair) -> None:
    payload = bytes(range(256)) * (2 * WHOLE // 256 + 1)
    payload = payload[: 2 * WHOLE]  # so that an empty packet ends it
    data = packet(payload[:WHOLE], 1) + packet(payload[WHOLE:], 2) + packet(b"", 3) + packet(b"next", 4)
    thread = pair.send(data)
    assert pair.read() == payload
    assert pair.read() == b"next"
    thread.join()


def test_a_large_payload_between_small_ones_and_waits_in_the_middle(pair: Pair) -> None:
    large = b"x" * 3_000_000
    data = packet(b"one", 1) + packet(large, 2) + packet(b"two", 3)
    cut = 1_500_000
    thread = pair.send(data[:cut])
    assert pair.read() == b"one"
    assert pair.read(0.05) is None
    thread.join()
    thread = pair.send(data[cut:])
    assert pair.read() == large
    assert pair.read() == b"two"
    thread.join()


def test_nothing_for_a_while_is_none_and_asks_the_wait_only_then(pair: Pair) -> None:
    asked: list[float] = []

    def wait() -> float:
        asked.append(0.01)
        return 0.01

    pair.server.sendall(packet(b"a", 1) + packet(b"b", 2))
    assert bytes(pair.reader.packet(wait) or b"") == b"a"
    assert bytes(pair.reader.packet(wait) or b"") == b"b"
    assert len(asked) == 1
    assert pair.reader.packet(wait) is None
    assert len(asked) == 2


def test_silence_is_a_broken_connection() -> None:
    pair = Pair(silence_seconds=0.2)
    with pytest.raises(SourceUnavailable, match=r"no byte for 0\.2 s"):
        all(pair.read(0.05) is None for _ in range(100))
    pair.reader.close()
    pair.server.close()


def test_time_in_which_nobody_reads_is_no_silence() -> None:
    pair = Pair(silence_seconds=0.3)
    assert pair.read(0.2) is None
    time.sleep(0.3)  # what is tested is that this does not count
    assert pair.read(0.05) is None
    pair.reader.close()
    pair.server.close()


def test_the_end_of_the_stream_and_packets_out_of_order_break_it(pair: Pair) -> None:
    pair.server.sendall(packet(b"a", 7))
    with pytest.raises(SourceUnavailable, match="out of order"):
        pair.read()
    pair.server.close()
    with pytest.raises(SourceUnavailable, match="here:3306"):
        pair.read()


def test_close_from_another_thread_ends_a_blocked_read(pair: Pair) -> None:
    caught: list[BaseException] = []

    def read() -> None:
        try:
            pair.read(60)
        except SourceUnavailable as error:
            caught.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    pair.reader.close()
    thread.join(5)
    assert not thread.is_alive()
    assert len(caught) == 1


def test_waiting_for_a_packet_takes_nothing_and_says_whether_one_is_there(pair: Pair) -> None:
    def waits(seconds: float) -> bool:
        return pair.reader.await_packet(lambda: seconds)

    assert not waits(0)
    whole = packet(b"x" * 100, 1)
    pair.server.sendall(whole[:50])
    assert not waits(0.01)
    assert not pair.reader.at_hand()
    pair.server.sendall(whole[50:])
    assert waits(5)
    assert pair.reader.at_hand()
    assert pair.read() == b"x" * 100
    assert not pair.reader.at_hand()


def test_a_packet_larger_than_the_buffer_is_at_hand_for_who_takes_it(pair: Pair) -> None:
    large = b"y" * (3 << 20)
    thread = pair.send(packet(large, 1))
    assert pair.reader.await_packet(lambda: 5)
    assert pair.read() == large
    thread.join()


def test_waiting_for_a_packet_finds_the_connection_ended(pair: Pair) -> None:
    pair.server.close()
    with pytest.raises(SourceUnavailable):
        pair.reader.await_packet(lambda: 5)
