"""`python -m cdc.wiring.schema_export`: the JSON Schema of connector files, and the table of keys in docs/connector-file.md.

Both are made from the models, and a test holds the stored ones equal. `--write` writes them.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cdc.model.config import ConnectorConfig
from cdc.wiring.complaints import schema_at

Schema = dict[str, Any]

SCHEMA_FILE = Path("schemas/connector.schema.json")
DOCUMENT = Path("docs/connector-file.md")
BEGIN, END = "<!-- keys: begin -->", "<!-- keys: end -->"

_REFERENCE = {"type": "string", "pattern": r"\$\{[^{}]*\}", "description": "${NAME} or ${file:/path}"}
_SECTIONS = (
    ("",),
    ("source",),
    ("source", "snapshot"),
    ("queue",),
    ("sink",),
    ("coordination",),
    ("verify",),
    ("source", "tls"),
)


def connector_schema() -> Schema:
    """JSON Schema 2020-12 of a connector file before its `${…}` are replaced."""
    schema = _adapted(ConnectorConfig.model_json_schema())
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Lockstep connector file",
        **{key: value for key, value in schema.items() if key != "title"},
    }


def _adapted(node: Any) -> Any:
    """Numbers and choices may be written as a `${…}`; titles that repeat the key and formats that editors would hide go."""
    if isinstance(node, list):
        return [_adapted(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {
        key: {name: _adapted(value) for name, value in item.items()}
        if key in ("properties", "$defs")
        else _adapted(item)
        for key, item in node.items()
        if not (key in ("title", "format", "writeOnly") and not isinstance(item, dict))
    }
    if kept.get("type") in ("integer", "number", "boolean") or "enum" in kept:
        outside = {key: kept.pop(key) for key in ("description", "default") if key in kept}
        return {"anyOf": [kept, _REFERENCE], **outside}
    return kept


def as_text(schema: Schema) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def key_tables() -> str:
    """Markdown: one table for each section, every key with what it takes, its default and what it does."""
    return "\n\n".join("\n".join(_table(path)) for path in _SECTIONS)


def _table(path: tuple[str, ...]) -> Iterator[str]:
    section = schema_at(path if path != ("",) else ())
    yield f"### {_heading(path)}"
    yield ""
    yield "| key | takes | default | |"
    yield "|---|---|---|---|"
    required = section.get("required", ())
    for key in section["properties"]:
        known = schema_at((*(path if path != ("",) else ()), key))
        default = "needed" if key in required else _default(section["properties"][key])
        yield f"| `{key}` | {_takes(known)} | {default} | {_cell(known.get('description', ''))} |"


def _heading(path: tuple[str, ...]) -> str:
    names = {
        "": "At the top",
        "snapshot": "`snapshot:`, in `source:`",
        "sink": "`sink:`, and each of `sinks:`",
        "tls": "`tls:`, in any of them",
    }
    return names.get(path[-1], f"`{path[-1]}:`")


def _default(known: Mapping[str, Any]) -> str:
    default = known.get("default")
    if default in (None, [], {}, ()):
        return ""
    return f"`{json.dumps(default, ensure_ascii=False)}`"


def _takes(known: Mapping[str, Any]) -> str:
    if "enum" in known:
        return " or ".join(f"`{choice}`" for choice in known["enum"])
    kind = known.get("type")
    words = {
        "integer": "whole number",
        "number": "number",
        "boolean": "true or false",
        "array": "list",
        "object": "keys",
    }
    text = words.get(str(kind), "text")
    low = known.get("minimum", known.get("exclusiveMinimum"))
    if kind in ("integer", "number") and low is not None:
        above = "above " if "exclusiveMinimum" in known else "from "
        text += f", {above}{low:g}" if isinstance(low, float) else f", {above}{low}"
        if "maximum" in known:
            top = known["maximum"]
            text += f" to {top:g}" if isinstance(top, float) else f" to {top}"
    return text


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def with_tables(document: str) -> str:
    """`document` with what stands between the marks replaced by the tables."""
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{key_tables()}\n\n{END}{after}"


def main() -> None:
    if "--write" in sys.argv[1:]:
        SCHEMA_FILE.write_text(as_text(connector_schema()), encoding="utf-8")
        DOCUMENT.write_text(with_tables(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        sys.stdout.write(as_text(connector_schema()))


if __name__ == "__main__":
    main()
