"""Transactions that are recognised whole in the connection's buffer give what their events give one by one."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdc.binlog.packets import PacketReader
from cdc.model.errors import CdcError
from tests.support.golden_events import FOLDER, Recorded, told

whole_groups = pytest.importorskip("cdc.binlog.whole_groups", reason="the compiled parts are not built")
pytest.importorskip("cdc.binlog.decoder.compiled", reason="the compiled parts are not built")

GOLDEN = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(Path(FOLDER).glob("*.json"))}
SMALL = [name for name in GOLDEN if name.endswith(("_plain", "_rotation", "_rows_query", "_annotate_rows"))]


class Socket:
    """Gives `data` in pieces of `piece` bytes, then nothing."""

    def __init__(self, data: bytes, piece: int) -> None:
        self._data = memoryview(data)
        self._piece = piece

    def settimeout(self, seconds: float) -> None:
        pass

    def recv_into(self, into: memoryview) -> int:
        count = min(len(into), len(self._data), self._piece)
        if not count:
            raise TimeoutError
        into[:count] = self._data[:count]
        self._data = self._data[count:]
        return count


class Buffered:
    """Stands where the connection stands; the events come in packets."""

    closed = False

    def __init__(self, raw: Iterable[bytes], piece: int, first_number: int = 1) -> None:
        packets = [
            len(event + b"\0").to_bytes(3, "little") + bytes([(first_number + number) & 255]) + b"\0" + event
            for number, event in enumerate(raw)
        ]
        self.packets = PacketReader(
            Socket(b"".join(packets), piece),  # type: ignore[arg-type]
            "here",
            60,
            first_number,
        )

    def event(self, wait_seconds: Callable[[], float]) -> memoryview | None:
        packet = self.packets.packet(wait_seconds)
        return None if packet is None else packet[1:]

    def close(self) -> None:
        pass


def repeated(golden: dict[str, Any]) -> list[bytes]:
    return [bytes.fromhex(one) for one in golden["events"]]


def outcome(recorded: Recorded) -> Any:
    """Items, and the error that ended them."""
    items = []
    try:
        for item in recorded.stream().items(lambda: 0.0):
            if item is None:
                break
            items.append(item)
    except CdcError as error:
        return told(items), type(error), str(error), error.hint
    return told(items)


def one_by_one(golden: dict[str, Any], raw: list[bytes], include_query: bool) -> Any:
    return outcome(Recorded(golden, raw, "compiled", include_query=include_query))


def gathered(golden: dict[str, Any], raw: list[bytes], include_query: bool, piece: int = 1 << 20) -> Any:
    connection = lambda events: Buffered(events, piece)  # noqa: E731 - a name says what it is for
    return outcome(Recorded(golden, raw, "compiled", include_query=include_query, connection=connection))


@pytest.mark.parametrize("include_query", [False, True])
@pytest.mark.parametrize("name", GOLDEN)
def test_all_golden_events_give_the_same(name: str, include_query: bool) -> None:
    golden = GOLDEN[name]
    raw = repeated(golden)
    assert gathered(golden, raw, include_query) == one_by_one(golden, raw, include_query)


@given(st.sampled_from(SMALL), st.integers(1, 3000), st.integers(0, 255))
def test_however_the_bytes_come(name: str, piece: int, first_number: int) -> None:
    golden = GOLDEN[name]
    raw = repeated(golden)
    connection = lambda events: Buffered(events, piece, first_number)  # noqa: E731
    found = outcome(Recorded(golden, raw, "compiled", include_query=False, connection=connection))
    assert found == one_by_one(golden, raw, False)


@given(st.sampled_from(SMALL), st.data())
@settings(max_examples=300)
def test_damaged_events_end_in_the_same_error(name: str, data: st.DataObject) -> None:
    golden = GOLDEN[name]
    raw = repeated(golden)
    number = data.draw(st.integers(0, len(raw) - 1))
    place = data.draw(st.integers(0, len(raw[number]) - 1))
    bit = data.draw(st.integers(0, 7))
    changed = bytearray(raw[number])
    changed[place] ^= 1 << bit
    raw[number] = bytes(changed)
    if data.draw(st.booleans()):
        del raw[data.draw(st.integers(0, len(raw) - 1))]
    assert gathered(golden, raw, False) == one_by_one(golden, raw, False)


@pytest.mark.parametrize("name", SMALL)
def test_small_transactions_are_recognised(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the tests above would hold one way equal to itself."""
    groups = []

    class Noted:
        def __init__(self, *arguments: Any) -> None:
            self._inner = whole_groups.WholeGroups(*arguments)

        def next(self, *arguments: Any) -> Any:
            group = self._inner.next(*arguments)
            if group is not None:
                groups.append(group)
            return group

    monkeypatch.setattr("cdc.binlog.transactions.WholeGroups", Noted)
    golden = GOLDEN[name]
    gathered(golden, repeated(golden), False)
    assert len(groups) >= 1
    assert any(group.rows for group in groups)
    assert all(group.start < group.end for group in groups)
