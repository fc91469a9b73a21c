"""schemas/ and docs/connector-file.md say what the code does."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from cdc.wiring.complaints import schema_at
from cdc.wiring.schema_export import DOCUMENT, SCHEMA_FILE, as_text, connector_schema, with_tables
from tests.support.connectors import examples
from tests.support.events import SCHEMA

ROOT = Path(__file__).parents[2]


def test_the_stored_schema_of_connector_files_is_the_models() -> None:
    assert (ROOT / SCHEMA_FILE).read_text() == as_text(connector_schema()), (
        "run python -m cdc.wiring.schema_export --write"
    )


def test_the_documented_keys_are_the_models() -> None:
    text = (ROOT / DOCUMENT).read_text()
    assert text == with_tables(text), "run python -m cdc.wiring.schema_export --write"


@pytest.mark.parametrize("path", [ROOT / SCHEMA_FILE, SCHEMA], ids=lambda path: path.stem)
def test_each_schema_is_one(path: Path) -> None:
    Draft202012Validator.check_schema(json.loads(path.read_text()))


@pytest.mark.parametrize("path", examples(), ids=lambda path: path.stem)
def test_every_worked_example_is_as_the_schema_says_and_names_it(path: Path) -> None:
    text = path.read_text()
    Draft202012Validator(connector_schema()).validate(yaml.safe_load(text))
    assert text.startswith("# yaml-language-server: $schema=../schemas/connector.schema.json\n")


def test_a_reference_may_stand_where_the_schema_wants_a_number() -> None:
    config: Any = yaml.safe_load(examples()[0].read_text())
    validator = Draft202012Validator(connector_schema())
    config["source"]["server_id"] = "${CDC_SERVER_ID}"
    validator.validate(config)
    config["source"]["server_id"] = "5401"
    assert not validator.is_valid(config)


def test_the_schema_refuses_unknown_keys() -> None:
    config: Any = yaml.safe_load(examples()[0].read_text())
    config["source"]["tabels"] = []
    assert not Draft202012Validator(connector_schema()).is_valid(config)


@pytest.mark.parametrize("section", ["", "source", "queue", "sink", "coordination"])
def test_every_key_is_described(section: str) -> None:
    path = (section,) if section else ()
    for key in schema_at(path)["properties"]:
        assert schema_at((*path, key)).get("description"), f"{section}.{key} has no description"
