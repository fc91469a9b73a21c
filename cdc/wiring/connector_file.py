"""Reads connector files: YAML, `${…}`, the models, and what several connectors must not share."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from pydantic import ValidationError

from cdc.model.config import ConnectorConfig
from cdc.model.errors import ConnectorFileError
from cdc.model.overlap import Destination, overlap
from cdc.wiring.complaints import complaints, schema_at
from cdc.wiring.place import Path, Place
from cdc.wiring.references import References
from cdc.wiring.yaml_document import Document, parse

MOST_FILE_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class _Loaded:
    config: ConnectorConfig
    document: Document


def load(path: str | FilePath, environment: Mapping[str, str] = os.environ) -> ConnectorConfig:
    """The connector of one file; raises ConnectorFileError with the first thing that is wrong."""
    return load_all([path], environment)[0]


def load_all(paths: Iterable[str | FilePath], environment: Mapping[str, str] = os.environ) -> list[ConnectorConfig]:
    """The connectors of several files, in order, which get along; raises ConnectorFileError with the first thing wrong."""
    loaded = []
    for path in paths:
        one, problems = _load(path, environment)
        if one is None:
            raise problems[0]
        loaded.append(one)
    for problem in _conflicts(loaded):
        raise problem
    return [one.config for one in loaded]


def problems(paths: Iterable[str | FilePath], environment: Mapping[str, str] = os.environ) -> list[ConnectorFileError]:
    """Everything that is wrong with the files, by file and line; for `cdc check`."""
    loaded, found = [], []
    for path in paths:
        one, wrong = _load(path, environment)
        found += wrong
        if one is not None:
            loaded.append(one)
    return [*found, *_conflicts(loaded)]


def _load(
    path: str | FilePath, environment: Mapping[str, str]
) -> tuple[_Loaded, list[ConnectorFileError]] | tuple[None, list[ConnectorFileError]]:
    try:
        document = parse(_text(FilePath(path)), str(path))
        if not isinstance(document.value, dict):
            raise document.place(()).refused(
                "expected keys with values, like `name: shop`", hint="compare with a file in connectors/"
            )
        references = References(environment, FilePath(path).absolute().parent)
        substituted: set[Path] = set()
        value, wrong = _substituted(document.value, (), document, references, substituted)
    except ConnectorFileError as error:
        return None, [error]
    if wrong:
        return None, wrong
    try:
        return _Loaded(_validated(value, substituted), document), []
    except ValidationError as error:
        return None, complaints(error, document)


def _text(path: FilePath) -> str:
    place = Place(str(path))
    try:
        with path.open("rb") as file:
            content = file.read(MOST_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "not a path"
        raise place.refused(f"cannot be read: {why}", hint="name a connector file, like connectors/shop.yaml") from None
    if len(content) > MOST_FILE_BYTES:
        raise place.refused(f"larger than {MOST_FILE_BYTES} bytes", hint="a connector file is a page of YAML")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise Place(str(path), line).refused("not UTF-8", hint="save the file as UTF-8") from None


def _substituted(
    value: Any, path: Path, document: Document, references: References, changed: set[Path]
) -> tuple[Any, list[ConnectorFileError]]:
    """A copy with the `${…}` of all texts replaced, and what went wrong; `changed` gets the places of those that had any."""
    if isinstance(value, str) and "${" in value:
        changed.add(path)
        try:
            return references.substitute(value, document.place(path)), []
        except ConnectorFileError as error:
            return value, [error]
    if isinstance(value, dict):
        pairs = {key: _substituted(item, (*path, key), document, references, changed) for key, item in value.items()}
        return {key: item for key, (item, _) in pairs.items()}, [e for _, wrong in pairs.values() for e in wrong]
    if isinstance(value, list):
        items = [_substituted(item, (*path, i), document, references, changed) for i, item in enumerate(value)]
        return [item for item, _ in items], [e for _, wrong in items for e in wrong]
    return value, []


def _validated(value: dict[str, Any], substituted: set[Path]) -> ConnectorConfig:
    """Strict: no text for a number, no number for text. Only what came from a `${…}`, always text, may stand for a number."""
    for path in substituted:
        kind = schema_at(path).get("type")
        if kind in _FROM_TEXT:
            _replace(value, path, _FROM_TEXT[kind])
    return ConnectorConfig.model_validate_json(json.dumps(value), strict=True)


def _whole(text: str) -> Any:
    return int(text) if text.isdecimal() and len(text) < 30 else text


def _number(text: str) -> Any:
    return float(text) if text.replace(".", "", 1).isdecimal() and len(text) < 30 else text


def _true_or_false(text: str) -> Any:
    return {"true": True, "false": False}.get(text, text)


_FROM_TEXT = {"integer": _whole, "number": _number, "boolean": _true_or_false}


def _replace(value: Any, path: Path, convert: Any) -> None:
    for part in path[:-1]:
        value = value[part]
    value[path[-1]] = convert(value[path[-1]])


def _conflicts(loaded: Sequence[_Loaded]) -> list[ConnectorFileError]:
    """What two connectors must not share; each is said of the later file, naming the earlier one's line."""
    return [
        problem
        for i, later in enumerate(loaded)
        for earlier in loaded[:i]
        for problem in (*_same_name(earlier, later), *_same_server_id(earlier, later), *_same_tables(earlier, later))
    ]


def _at(one: _Loaded, *path: str) -> str:
    return f"{one.document.file}:{one.document.line(path)}"


def _same_name(earlier: _Loaded, later: _Loaded) -> list[ConnectorFileError]:
    if earlier.config.name != later.config.name:
        return []
    what = f"the name {later.config.name} stands in {_at(earlier, 'name')} too"
    return [
        later.document.place(("name",)).refused(what, hint="give each connector its own: it prefixes all that it owns")
    ]


def _same_server_id(earlier: _Loaded, later: _Loaded) -> list[ConnectorFileError]:
    one, other = earlier.config.source, later.config.source
    if (one.url.server, one.server_id) != (other.url.server, other.server_id):
        return []
    what = f"{_at(earlier, 'source', 'server_id')} reads the same server with server_id {other.server_id}"
    hint = "choose another: the server throws out the first of two replicas with one id"
    return [later.document.place(("source", "server_id")).refused(what, hint=hint)]


def _same_tables(earlier: _Loaded, later: _Loaded) -> list[ConnectorFileError]:
    return [
        later.document.place(path).refused(
            f"{_at(earlier, *before)} writes to the same table of the same target, such as {example}",
            hint="narrow `tables` on one side, or write to other names with `table`",
        )
        for before, one in _destinations(earlier)
        for path, other in _destinations(later)
        if (example := overlap(one, other)) is not None
    ]


def _destinations(one: _Loaded) -> list[tuple[tuple[str, ...], Destination]]:
    return [
        (("sinks", name) if one.config.sinks else ("sink",), one.config.destination(name))
        for name in one.config.all_sinks
    ]
