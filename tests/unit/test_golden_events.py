"""Golden events of real servers: the stream makes of them what their own rendering says; damage ends in its error."""

import json
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdc.model.errors import BinlogDamaged, CdcError, NotUnderstood
from tests.support.changes import both
from tests.support.golden_events import FOLDER, SCENARIOS, Recorded, told

GOLDEN = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(Path(FOLDER).glob("*.json"))}
# MariaDB logs a REPLACE as an update whose image lacks what went back to its default: it cannot be told from one that left it.
STOPS = {
    "mysql_statement_format": "logged as a statement",
    "mariadb_statement_format": "logged as a statement",
    "mariadb_image_noblob": "updated, or replaced",
}
READ = [name for name in GOLDEN if name not in STOPS]
TABLE_MAP, ROWS_KINDS = 19, {23, 24, 25, 30, 31, 32, 39, 166, 167, 168}


def signed(raw: bytes) -> bytes:
    """The event with a checksum that fits again."""
    return raw[:-4] + zlib.crc32(raw[:-4]).to_bytes(4, "little")


def has_checksums(golden: dict[str, Any]) -> bool:
    return "checksum_none" not in "".join(name for name, one in GOLDEN.items() if one is golden)


def test_every_scenario_was_recorded_on_each_server_that_has_it() -> None:
    expected = {
        f"{kind}_{name}" for kind in ("mysql", "mariadb") for name, one in SCENARIOS.items() if one.only in ("", kind)
    }
    assert set(GOLDEN) == expected


@pytest.mark.parametrize("name", READ)
def test_golden_events_give_what_the_server_says(name: str) -> None:
    golden = GOLDEN[name]
    items = told(Recorded(golden).items())
    assert json.loads(json.dumps(items)) == golden["items"]
    # The rows that mysqlbinlog prints, operation by operation; a rolled back XA transaction's do not count.
    printed = [
        line.split()[1] for line in golden["server_says"] if line.startswith("### ") and line.split()[1] in _OPERATIONS
    ]
    ours = [_OF[draft[0]] for item in items if item[0] == "Rows" for draft in item[4]]
    assert ours == ([] if "rolled_back" in name else printed)


_OPERATIONS = {"INSERT", "UPDATE", "DELETE"}
_OF = {"c": "INSERT", "u": "UPDATE", "d": "DELETE"}


@pytest.mark.parametrize("name", READ)
def test_both_decoders_give_the_same_items(name: str) -> None:
    both()
    python, compiled = (told(Recorded(GOLDEN[name], decoder=kind).items()) for kind in ("python", "compiled"))
    assert python == compiled


@pytest.mark.parametrize("name", STOPS)
def test_what_cannot_be_told_from_the_events_stops(name: str) -> None:
    with pytest.raises(NotUnderstood, match=STOPS[name]):
        Recorded(GOLDEN[name]).items()


def rows_events(golden: dict[str, Any]) -> list[int]:
    raw = Recorded(golden).raw
    return [n for n, one in enumerate(raw) if one[4] in ROWS_KINDS or one[4] == 40]


@pytest.mark.parametrize("name", [name for name in READ if "checksum_none" not in name])
def test_a_wrong_checksum_stops(name: str) -> None:
    golden = GOLDEN[name]
    for number, raw in enumerate(Recorded(golden).raw):
        if raw[4] == 4:
            continue
        broken = Recorded(golden).raw
        broken[number] = raw[:-1] + bytes([raw[-1] ^ 0x10])
        with pytest.raises(BinlogDamaged, match="checksum"):
            Recorded(golden, broken).items()


@pytest.mark.parametrize("name", READ)
def test_an_event_that_is_cut_short_stops(name: str) -> None:
    golden = GOLDEN[name]
    for number, raw in enumerate(Recorded(golden).raw):
        for left in (19, len(raw) // 2, len(raw) - 1):
            broken = Recorded(golden).raw
            broken[number] = raw[:left]
            with pytest.raises(CdcError) as caught:
                Recorded(golden, broken).items()
            assert isinstance(caught.value, BinlogDamaged), (number, left)


@pytest.mark.parametrize("name", [name for name in READ if "checksum_none" not in name])
def test_an_unknown_event_and_an_unknown_table_stop(name: str) -> None:
    golden = GOLDEN[name]
    for number in rows_events(golden):
        unknown = Recorded(golden).raw
        unknown[number] = signed(unknown[number][:4] + b"\x63" + unknown[number][5:])
        with pytest.raises(NotUnderstood, match="event type 99"):
            Recorded(golden, unknown).items()
        homeless = Recorded(golden).raw
        if homeless[number][4] == 40:
            continue
        homeless[number] = signed(homeless[number][:19] + b"\xfe\xff\xff\xff\xff\x00" + homeless[number][25:])
        with pytest.raises(BinlogDamaged, match="which no table map of this transaction names"):
            Recorded(golden, homeless).items()


@given(name=st.sampled_from(READ), data=st.data())
def test_a_flipped_bit_gives_the_same_rows_or_a_typed_error(name: str, data: st.DataObject) -> None:
    """With a checksum that fits, as if it had been flipped before it was made: nothing but items or an error of ours."""
    golden = GOLDEN[name]
    raw = Recorded(golden).raw
    number = data.draw(st.integers(2, len(raw) - 1))
    bit = data.draw(st.integers(8 * 19, 8 * (len(raw[number]) - 4) - 1))
    changed = bytearray(raw[number])
    changed[bit // 8] ^= 1 << bit % 8
    raw[number] = signed(bytes(changed)) if has_checksums(golden) else bytes(changed)
    with suppress(CdcError):
        Recorded(golden, raw).items()


def test_rows_of_an_xa_transaction_that_are_taken_back_stop() -> None:
    golden = GOLDEN["mysql_xa_two_phases"]
    raw = Recorded(golden).raw
    (number,) = [n for n, one in enumerate(raw) if b"XA END X'78',X'',1" in one]
    raw[number] = signed(raw[number].replace(b"XA END X'78',X'',1", b"ROLLBACK TO `aaaa`"))
    with pytest.raises(NotUnderstood, match="ROLLBACK TO SAVEPOINT after rows"):
        Recorded(golden, raw).items()
