"""Every event that a suite produces is held to schemas/change-event.schema.json."""

import json
from functools import cache
from pathlib import Path

import orjson
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from cdc.queue.port import Queue

SCHEMA = Path(__file__).parents[2] / "schemas" / "change-event.schema.json"


@cache
def _validators() -> dict[str, Draft202012Validator]:
    """One for each `op`: an error then names what is wrong, not that none of six forms fits."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    forms = {"c": "create", "r": "create", "u": "update", "d": "delete", "t": "truncate", "m": "marker", "": "bundle"}
    return {
        op: Draft202012Validator({"$ref": f"#/$defs/{form}", "$defs": schema["$defs"]}) for op, form in forms.items()
    }


def assert_valid_event(value: bytes) -> None:
    """That `value` is an event as the schema describes it."""
    event = orjson.loads(value)
    validator = _validators().get("" if "copied" in event else event.get("op"))
    assert validator is not None, f"there is no event with op {event.get('op')!r}"
    error = best_match(validator.iter_errors(event))
    assert error is None, f"{error.json_path}: {error.message}\n{value.decode()[:2000]}"


def validate_all(queue: Queue, *, first_seconds: float = 1.0) -> int:
    """Validates every message that the queue's lanes still have; returns how many they were.

    A lane is over when nothing comes for 0.5 s, or `first_seconds` at its beginning (Kafka: give it 5, a consumer's first
    message takes its time).
    """
    return sum(_validate_lane(queue, lane, first_seconds) for lane in queue.lanes())


def _validate_lane(queue: Queue, lane: str, first_seconds: float) -> int:
    reader = queue.reader("", lane, "")  # "" only looks on
    seen = 0
    try:
        while received := reader.read(1000, 8 * 1024 * 1024, 0.5 if seen else first_seconds):
            for message in received:
                assert_valid_event(message.value)
            seen += len(received)
    finally:
        reader.close()
    return seen
