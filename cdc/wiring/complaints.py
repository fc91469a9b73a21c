"""What the models refuse, in words of a person: which key, in which line, what was expected, what to do."""

import difflib
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

from pydantic import ValidationError

from cdc.model.config import ConnectorConfig
from cdc.model.errors import ConnectorFileError
from cdc.wiring.place import Path
from cdc.wiring.yaml_document import Document

Schema = Mapping[str, Any]


class _Refused(NamedTuple):
    """One of pydantic's complaints. `known`: the schema of the place that it is about."""

    path: Path
    context: Mapping[str, Any]
    value: Any
    text: str
    known: Schema


def complaints(error: ValidationError, document: Document) -> list[ConnectorFileError]:
    """One for each thing that is wrong, in the order of the lines; in one line, what is missing comes after a wrong key, which
    may well be it."""
    found: dict[tuple[Path, str], ConnectorFileError] = {}
    details = error.errors(include_url=False)
    for detail in sorted(details, key=lambda detail: detail["type"] == "missing"):
        complaint = _complaint(detail["type"], detail, document)
        found.setdefault((detail["loc"], complaint.key), complaint)
    return sorted(found.values(), key=lambda complaint: complaint.line or 0)


def _complaint(kind: str, detail: Any, document: Document) -> ConnectorFileError:
    path = tuple(part for part in detail["loc"] if part != "[key]")
    refused = _Refused(path, detail.get("ctx", {}), detail["input"], detail["msg"], schema_at(path))
    if kind == "impossible":
        place = document.place((*path, *refused.context["key"].split(".")))
        return place.refused(refused.text, hint=refused.context["hint"])
    what, hint = _WORDS.get(kind, _other)(refused)
    return document.place(path).refused(what, hint=hint)


def _missing(refused: _Refused) -> tuple[str, str]:
    return f"`{refused.path[-1]}` is missing", f"add it: {_expected(refused.known)}"


def _unknown(refused: _Refused) -> tuple[str, str]:
    name = str(refused.path[-1])
    here = sorted(schema_at(refused.path[:-1]).get("properties", {}))
    if close := difflib.get_close_matches(name, here, n=1, cutoff=0.6):
        return f"there is no key `{name}` here", f"did you mean `{close[0]}`?"
    if sections := _sections_with(name):
        return f"there is no key `{name}` here", f"it belongs under {' or '.join(f'`{s}`' for s in sections)}"
    return f"there is no key `{name}` here", f"known are {', '.join(here)}"


def _not_text(refused: _Refused) -> tuple[str, str]:
    if isinstance(refused.value, bool | int | float):
        return f"expected text, found {_kind(refused.value)}", "put it in quotes"
    if isinstance(refused.value, dict) and all(value is None for value in refused.value.values()):
        return "expected text, found braces", 'a value that begins with { belongs in quotes: "{table}"'
    return f"expected text, found {_kind(refused.value)}", _expected(refused.known)


_WITHOUT_QUOTES = {"a whole number", "a number", "true or false"}


def _not(expected: str) -> Callable[[_Refused], tuple[str, str]]:
    def words(refused: _Refused) -> tuple[str, str]:
        unquoted = isinstance(refused.value, str) and expected in _WITHOUT_QUOTES
        hint = f"write {expected}, without quotes" if unquoted else _expected(refused.known)
        return f"expected {expected}, found {_kind(refused.value)}", hint

    return words


def _beyond(words: str, name: str) -> Callable[[_Refused], tuple[str, str]]:
    return lambda refused: (f"expected {words} {refused.context[name]}", _expected(refused.known))


def _choice(refused: _Refused) -> tuple[str, str]:
    choices = [str(choice) for choice in refused.known.get("enum", ())]
    close = difflib.get_close_matches(str(refused.value), choices, n=1)
    hint = f"did you mean `{close[0]}`?" if close else _expected(refused.known)
    return f"expected {' or '.join(choices) or refused.context.get('expected')}", hint


def _name(refused: _Refused) -> tuple[str, str]:
    what = "expected small letters, digits, _ and -, at most 48, a letter or digit first"
    return what, "rename it, as in `shop-orders`"


def _own_words(refused: _Refused) -> tuple[str, str]:
    return refused.text.removeprefix("Value error, "), _expected(refused.known)


def _other(refused: _Refused) -> tuple[str, str]:
    return "not a value that can stand here", _expected(refused.known)


# https://docs.pydantic.dev/latest/errors/validation_errors/; a test meets each that the models can raise.
_WORDS: Mapping[str, Callable[[_Refused], tuple[str, str]]] = {
    "missing": _missing,
    "extra_forbidden": _unknown,
    "string_type": _not_text,
    "int_type": _not("a whole number"),
    "int_from_float": _not("a whole number"),
    "int_parsing_size": _not("a smaller whole number"),
    "float_type": _not("a number"),
    "bool_type": _not("true or false"),
    "tuple_type": _not("a list, like [a, b]"),
    "dict_type": _not("keys with values"),
    "model_type": _not("keys with values"),
    "model_attributes_type": _not("keys with values"),
    "literal_error": _choice,
    "greater_than": _beyond("more than", "gt"),
    "greater_than_equal": _beyond("at least", "ge"),
    "less_than_equal": _beyond("at most", "le"),
    "too_short": lambda refused: ("the list is empty", _expected(refused.known)),
    "string_pattern_mismatch": _name,
    "value_error": _own_words,
}


def _kind(value: Any) -> str:
    """Kinds only, never the value: it may be a secret."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "text"
    return "a list" if isinstance(value, list) else "keys with values"


def _expected(known: Schema) -> str:
    return str(known.get("description") or "see docs/connector-file.md").split("\n")[0]


@cache
def _root() -> Schema:
    return ConnectorConfig.model_json_schema()


def schema_at(path: Path) -> Schema:
    """What the models' JSON Schema says of a place; {} where it knows nothing."""
    schema: Schema = _root()
    for part in path:
        schema = _below(_resolved(schema), part)
    return _resolved(schema)


def _below(schema: Schema, part: str | int) -> Schema:
    if isinstance(part, int):
        return {"description": schema.get("description", ""), **schema.get("items", {})}
    if part in schema.get("properties", {}):
        return schema["properties"][part]  # type: ignore[no-any-return]
    for further in (*schema.get("patternProperties", {}).values(), schema.get("additionalProperties")):
        if isinstance(further, Mapping):
            return further
    return {}


def _resolved(schema: Schema) -> Schema:
    """Follows `$ref` and takes the not-null side of an optional; the description beside it wins."""
    for option in schema.get("anyOf", ()):
        if option.get("type") != "null":
            schema = {**_resolved(option), **{k: v for k, v in schema.items() if k == "description"}}
    if "$ref" in schema:
        target = _root()["$defs"][schema["$ref"].rpartition("/")[2]]
        schema = {**target, **{k: v for k, v in schema.items() if k == "description"}}
    return schema


def _sections_with(key: str) -> list[str]:
    def sections() -> Iterator[str]:
        for name in _root()["properties"]:
            if name != "sinks" and key in schema_at((name,)).get("properties", {}):
                yield name

    return list(sections())
