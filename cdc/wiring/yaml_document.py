"""A YAML text as plain values, with the line of every key: what an error needs to point at.

YAML 1.2's core schema (https://yaml.org/spec/1.2.2/#103-core-schema) on PyYAML's parser: `no`, `on`, `1:30`, `0123` and
dates are text, as a person who writes a connector file means them. Nothing is ever constructed from a tag.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import yaml

from cdc.model.errors import ConnectorFileError
from cdc.wiring.place import Path, Place

_MOST_NODES = 20_000


@dataclass(frozen=True, slots=True)
class Document:
    """`value`: dicts, lists and scalars. `key_lines`: 1-based, of each key (list items: of the item)."""

    value: Any
    file: str
    key_lines: dict[Path, int] = field(default_factory=dict)

    def place(self, path: Path) -> Place:
        return Place(self.file, self.line(path), path)

    def line(self, path: Path) -> int:
        """The line of `path`, or of the nearest thing around it that stands in the file."""
        while path and path not in self.key_lines:
            path = path[:-1]
        return self.key_lines.get(path, 1)


class _Loader(yaml.SafeLoader):
    """SafeLoader with the core schema's resolvers alone."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own way


for _tag, _form, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("int", r"[-+]?[0-9]{1,30}", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?", "-+.0123456789"),
):
    for _character in _first:
        _Loader.yaml_implicit_resolvers.setdefault(_character.replace("\0", ""), []).append(
            (f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_form})\Z"))
        )

_TAG_IN_LIST = re.compile(r"[\[,]\s*![^\s\]]+\]")
_SCALARS: dict[str, Callable[[str], Any]] = {
    "tag:yaml.org,2002:str": str,
    "tag:yaml.org,2002:null": lambda text: None,
    "tag:yaml.org,2002:bool": lambda text: text.lower() == "true",
    "tag:yaml.org,2002:int": int,
    "tag:yaml.org,2002:float": float,
}

# What PyYAML says, and what it mostly means in a connector file. The first that is found in its text counts.
_SYNTAX: tuple[tuple[str, str, str], ...] = (
    ("while scanning an alias", "a text cannot begin with *", 'put it in quotes: "*.*"'),
    ("found undefined alias", "a text cannot begin with *", 'put it in quotes: "*.orders"'),
    ("while scanning a tag", "a text cannot begin with !", 'put it in quotes: "!shop.sessions"'),
    ("could not determine a constructor", "a text cannot begin with !", 'put it in quotes: "!shop.sessions"'),
    ("found character '\\t'", "a tab where YAML wants spaces", "indent with spaces"),
    ("mapping values are not allowed", "a second `: ` in one line", "put the value in quotes, or begin a new line"),
    (
        "could not find expected ':'",
        "a line without `key: value`",
        "write key: value, and indent what belongs together",
    ),
    (
        "found unknown escape character",
        "a \\ that begins no known escape",
        "use 'single quotes' where a text has \\ in it",
    ),
    ("found character '@'", "a text cannot begin with @", "put it in quotes"),
    ("found character '`'", "a text cannot begin with `", "put it in quotes"),
    ("found character '%'", "a text cannot begin with %", "put it in quotes"),
    (
        "expected ',' or",
        "a list or braces that are not closed, or lack a comma",
        "close with ] or }, and put , between",
    ),
    ("found unexpected end of stream", "a quote that is not closed", "close the quote"),
    ("expected a single document", "a second document (---)", "write one connector in one file"),
    ("expected <block end>", "a line that is not indented like its neighbours", "indent equally what belongs together"),
)


def parse(text: str, file: str) -> Document:
    """Reads one YAML document; raises ConnectorFileError for everything that is not plain mappings, lists and scalars."""
    try:
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        raise _syntax(error, text, file) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        hint = "remove it, or write it as an escape in double quotes"
        raise Place(file, line).refused("a control character", hint=hint) from None
    except RecursionError:
        raise Place(file).refused("nested too deeply", hint="a connector file has four levels at most") from None
    if root is None:
        raise Place(file).refused("the file is empty", hint="begin with name, source, queue and sink; see connectors/")
    builder = _Builder(file)
    return Document(builder.value(root, ()), file, builder.key_lines)


def _syntax(error: yaml.MarkedYAMLError, text: str, file: str) -> ConnectorFileError:
    mark = error.problem_mark or error.context_mark
    place = Place(file, mark.line + 1 if mark else None)
    if error.context_mark and _TAG_IN_LIST.search(text.splitlines()[error.context_mark.line]):
        # `[shop.*, !shop.sessions]`: the parser takes `]` into the tag, and finds the list's end missing lines later.
        place = Place(file, error.context_mark.line + 1)
        return place.refused("a text cannot begin with !", hint='put it in quotes: "!shop.sessions"')
    said = f"{error.context or ''} {error.problem or ''}"
    for found, what, hint in _SYNTAX:
        if found in said:
            return place.refused(what, hint=hint)
    return place.refused("this is not YAML", hint="compare with a file in connectors/")


class _Builder:
    """Walks the nodes; aliases are followed, within a limit that a bomb of them meets soon."""

    def __init__(self, file: str) -> None:
        self._file = file
        self.key_lines: dict[Path, int] = {}
        self._nodes = 0
        self._open: set[int] = set()

    def value(self, node: yaml.Node, path: Path) -> Any:
        self._nodes += 1
        place = Place(self._file, node.start_mark.line + 1, path)
        self.key_lines.setdefault(path, node.start_mark.line + 1)
        if id(node) in self._open or self._nodes > _MOST_NODES:
            raise place.refused("an alias that holds itself, or too many values", hint="write the values out")
        self._open.add(id(node))
        try:
            return self._build(node, place)
        finally:
            self._open.discard(id(node))

    def _build(self, node: yaml.Node, place: Place) -> Any:
        if isinstance(node, yaml.MappingNode) and node.tag == "tag:yaml.org,2002:map":
            return self._mapping(node, place.path)
        if isinstance(node, yaml.SequenceNode) and node.tag == "tag:yaml.org,2002:seq":
            return [self.value(item, (*place.path, index)) for index, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode) and node.tag in _SCALARS:
            return _scalar(node, place)
        raise place.refused("a text cannot begin with !", hint=f'put it in quotes: "{node.tag[:60]}"')

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node, path)
            place = Place(self._file, key_node.start_mark.line + 1, (*path, key))
            if key in values:
                before = self.key_lines[place.path]
                raise place.refused(f"`{key}` stands twice, here and in line {before}", hint="keep one of the two")
            self.key_lines[place.path] = key_node.start_mark.line + 1
            values[key] = self.value(value_node, place.path)
        return values

    def _key(self, node: yaml.Node, path: Path) -> str:
        if isinstance(node, yaml.ScalarNode):
            return str(node.value)
        place = Place(self._file, node.start_mark.line + 1, path)
        raise place.refused("a key that is not a word", hint='a value that begins with { belongs in quotes: "{table}"')


def _scalar(node: yaml.ScalarNode, place: Place) -> Any:
    try:
        node.value.encode()
        return _SCALARS[node.tag](node.value)
    except UnicodeEncodeError:
        raise place.refused("half of a character", hint="write the character itself") from None
    except ValueError:  # An explicit tag, such as `!!int x`.
        raise place.refused("a value that its tag does not fit", hint="leave the !!tag out") from None
