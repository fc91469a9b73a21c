"""What the decoder's fuzzer does with one input: golden table maps and rows events, mutated."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from cdc.binlog.decoder import load
from cdc.binlog.decoder.json_binary import json_text
from cdc.binlog.decoder.json_diff import patched
from cdc.binlog.decoder.port import table_map_names
from cdc.model.errors import BinlogDamaged, NotUnderstood, TableRefused
from cdc.model.schema import TableSchema
from tests.support.changes import must_be_equal, projected

GOLDEN = Path(__file__).parents[1] / "unit" / "golden"
DECODER = load("python")
_MOST_CHANGES = 8


class Sound(NamedTuple):
    """What a server wrote."""

    event_type: int
    table_map: bytes
    rows: bytes
    known: TableSchema | None


def corpus() -> list[Sound]:
    found = []
    for path in sorted(GOLDEN.glob("*.json")):
        golden = json.loads(path.read_text(encoding="utf-8"))
        known = TableSchema.from_json(json.dumps(golden["known"])) if golden.get("known") else None
        for event in golden["events"]:
            bodies = (bytes.fromhex(event["table_map"]), bytes.fromhex(event["rows"]))
            found.append(Sound(event["type"], *bodies, known))
    return found


def decode(event: Sound) -> str:
    """The way of an event through the decoders; any other error than these is a finding, and so is a difference between them."""
    try:
        table_map_names(memoryview(event.table_map))
        table = DECODER.table_map(memoryview(event.table_map), event.known)
        DECODER.rows(event.event_type, memoryview(event.rows), table)
        must_be_equal(event.event_type, event.rows, table, projected(table, mask=("*.b",)))
    except (BinlogDamaged, NotUnderstood, TableRefused) as error:
        return type(error).__name__
    return "rows"


def documents(noise: bytes) -> None:
    """JSON documents and differences by themselves: inside a row few mutations get so far."""
    half = len(noise) // 2
    for call in (lambda: json_text(noise), lambda: patched(noise[:half], noise[half:], "a fuzzed document")):
        try:
            call()
        except (BinlogDamaged, ValueError, IndexError, struct.error):
            continue


def mutated(sound: Sound, noise: "Noise") -> Sound:
    """Bytes overwritten, cut out, put in and cut off, in either body; now and then another type of event, or no history."""
    bodies = [bytearray(sound.table_map), bytearray(sound.rows)]
    for _ in range(noise.up_to(_MOST_CHANGES)):
        body = bodies[noise.up_to(1)]
        place = noise.up_to(max(len(body) - 1, 0))
        change = noise.up_to(5)
        if change <= 2:
            body[place : place + 1] = noise.bytes(1)
        elif change == 3:
            del body[place : place + 1 + noise.up_to(8)]
        elif change == 4:
            body[place:place] = noise.bytes(noise.up_to(16))
        else:
            del body[place:]
    event_type = sound.event_type if noise.up_to(9) else 20 + noise.up_to(25)
    return Sound(event_type, bytes(bodies[0]), bytes(bodies[1]), sound.known if noise.up_to(3) else None)


class Noise(NamedTuple):
    """Where the choices come from: atheris's bytes, or a random generator."""

    up_to: Callable[[int], int]
    bytes: Callable[[int], bytes]


def one_input(noise: Noise, sound: list[Sound]) -> None:
    if noise.up_to(4):
        decode(mutated(sound[noise.up_to(len(sound) - 1)], noise))
    else:
        documents(noise.bytes(noise.up_to(300)))
