"""Differences of JSON documents (`binlog_row_value_options=PARTIAL_JSON`), applied as a replica does it.

Format: `Json_diff::write_binary` (sql-common/json_diff.cc): an operation in one byte, a path, and, but for a removal, a value in
binary JSON; path and value with their length-encoded lengths before them. Meaning: `apply_json_diff`, in the same file.
"""

import re
from typing import NamedTuple

import orjson

from cdc.binlog.decoder.cursor import Cursor
from cdc.binlog.decoder.json_binary import Node, json_tree, tree_text

_REPLACE, _INSERT, _REMOVE = 0, 1, 2


class _Cell(NamedTuple):
    """`[number]`, or `[last-number]` where it counts from the end."""

    number: int
    from_end: bool

    def place(self, size: int) -> int | None:
        """Where it is in an array of `size` items; None: beyond them."""
        if self.number >= size:
            return None
        return size - 1 - self.number if self.from_end else self.number


_Leg = str | _Cell
"""A member's name, or a cell."""

_LEG = re.compile(
    r'\.(?P<quoted>"(?:[^"\\]|\\.)*")|\.(?P<name>[^."\[]+)|\[(?P<last>last)?-?(?P<index>\d{0,10})\]', re.DOTALL
)


def patched(document: bytes, diffs: bytes, what: str) -> str:
    """The text of `document` after all `diffs`. Raises ValueError, IndexError or struct.error where one does not fit it or is
    damaged, and BinlogDamaged, naming `what`, where one is cut short."""
    tree = json_tree(document)
    cursor = Cursor(diffs, what)
    while cursor.remaining:
        operation = cursor.uint(1)
        legs = _legs(cursor.packed_bytes().decode())
        value = "" if operation == _REMOVE else json_tree(cursor.packed_bytes())
        _apply(tree, operation, legs, value)
    return tree_text(tree)


def _legs(path: str) -> list[_Leg]:
    """The legs of a path without wildcards, as `Json_path::to_string` writes it: `$.a[2]."b c"[last]`."""
    if not path.startswith("$"):
        raise ValueError("a JSON path does not begin with $")
    legs: list[_Leg] = []
    place = 1
    while place < len(path):
        match = _LEG.match(path, place)
        if match is None:
            raise ValueError(f"a JSON path is not understood at character {place + 1}")
        legs.append(_leg(match))
        place = match.end()
    if not legs:
        raise ValueError("a JSON difference is for the whole document")
    return legs


def _leg(match: re.Match[str]) -> _Leg:
    if match["quoted"] is not None:
        name: str = orjson.loads(match["quoted"])
        return name
    if match["name"] is not None:
        return match["name"]
    if not match["index"] and not match["last"]:
        raise ValueError("a JSON path has a cell without a number")
    return _Cell(int(match["index"] or 0), match["last"] is not None)


def _apply(tree: Node, operation: int, legs: list[_Leg], value: Node) -> None:
    *way, last = legs
    parent = tree
    for leg in way:
        parent = _child(parent, leg)
    if operation == _REPLACE:
        _child(parent, last)  # which says whether there is one
        _put(parent, last, value)
    elif operation == _INSERT:
        _insert(parent, last, value)
    elif operation == _REMOVE:
        _child(parent, last)
        _remove(parent, last)
    else:
        raise ValueError(f"there is no JSON difference of kind {operation}")


def _misfit() -> ValueError:
    return ValueError("a JSON difference does not fit the document before it")


def _cell(array: list[Node], leg: _Cell) -> int:
    place = leg.place(len(array))
    if place is None:
        raise _misfit()
    return place


def _child(parent: Node, leg: _Leg) -> Node:
    if isinstance(parent, dict) and isinstance(leg, str) and leg in parent:
        return parent[leg]
    if isinstance(parent, list) and isinstance(leg, _Cell):
        return parent[_cell(parent, leg)]
    raise _misfit()


def _put(parent: Node, leg: _Leg, value: Node) -> None:
    if isinstance(parent, dict) and isinstance(leg, str):
        parent[leg] = value
    elif isinstance(parent, list) and isinstance(leg, _Cell):
        parent[_cell(parent, leg)] = value


def _insert(parent: Node, leg: _Leg, value: Node) -> None:
    """A member must be new; a cell moves what stands there and behind it, or comes last where there is none."""
    if isinstance(parent, dict) and isinstance(leg, str) and leg not in parent:
        parent[leg] = value
    elif isinstance(parent, list) and isinstance(leg, _Cell):
        place = leg.place(len(parent))
        if place is None:
            place = 0 if leg.from_end else len(parent)
        parent.insert(place, value)
    else:
        raise _misfit()


def _remove(parent: Node, leg: _Leg) -> None:
    if isinstance(parent, dict) and isinstance(leg, str):
        del parent[leg]
    elif isinstance(parent, list) and isinstance(leg, _Cell):
        del parent[_cell(parent, leg)]
