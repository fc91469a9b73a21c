"""Whether two sinks could write one table: decided on their patterns alone, before any server is asked.

A sink's tables are a regular language: `db.table` patterns, of which the last match decides, cut with those of the source.
Both sides are walked together as automata, so an exclusion (`!shop.orders`) counts exactly.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

_MOST_STATES = 50_000
_ANY_OTHER = "\0"  # stands for every character that no pattern names


@dataclass(frozen=True, slots=True)
class Destination:
    """Where one sink writes. `place`: the target, "" for one that nobody shares. `filters`: lists of patterns that a table
    must pass, all of them. `template`: the target table's name, from {db} and {table}."""

    place: str
    filters: tuple[tuple[str, ...], ...]
    template: str


# By filter, by pattern: the positions in the pattern's text that the characters read so far may have led to.
_State = tuple[tuple[frozenset[int], ...], ...]


class _Pair(NamedTuple):
    first: _State
    second: _State
    name: str


def overlap(first: Destination, second: Destination) -> str | None:
    """A table that both would write, or None.

    Templates that differ are compared only where the tables are named without wildcards: whether `raw_{table}` and `{table}`
    ever meet depends on the tables there are, and `cdc check` looks at those.
    """
    if not first.place or first.place != second.place:
        return None
    if first.template != second.template:
        return next(iter(_named(first) & _named(second)), None)
    alphabet = _alphabet(first, second)
    if "{db}" in first.template:
        return _meet([_Pair(_begin(first), _begin(second), "")], first, second, alphabet, first.template)
    starts = [
        _Pair(one, other, "") for one in _after_any_db(first, alphabet) for other in _after_any_db(second, alphabet)
    ]
    return _meet(starts, first, second, alphabet, first.template)


def _named(destination: Destination) -> set[str]:
    """Target tables of the source tables that are written out."""
    sources = {
        pattern
        for patterns in destination.filters
        for pattern in patterns
        if not pattern.startswith("!") and not set(pattern) & set("*?")
    }
    targets = set()
    for source in sources:
        state = _begin(destination)
        for character in source:
            state = _step(destination, state, character)
        if _captured(destination, state):
            db, _, table = source.partition(".")
            targets.add(destination.template.format(db=db, table=table))
    return targets


def _alphabet(*destinations: Destination) -> str:
    text = "".join(p for d in destinations for patterns in d.filters for p in patterns)
    return _ANY_OTHER + "".join(sorted(set(text) - set("*?!."))) + "."


def _meet(starts: list[_Pair], first: Destination, second: Destination, alphabet: str, template: str) -> str | None:
    """Breadth first, so that the example is a short one. Beyond the limit the answer is yes: better refused than mixed up."""
    queue = deque(starts)
    seen: set[tuple[_State, _State]] = set()  # without the starts: a table's name has at least one character
    while queue:
        one, other, name = queue.popleft()
        if name and _captured(first, one) and _captured(second, other):
            return _example(template, name)
        if len(seen) > _MOST_STATES:
            return _example(template, name)
        for character in alphabet:
            pair = _Pair(_step(first, one, character), _step(second, other, character), name + character)
            if _alive(pair.first) and _alive(pair.second) and (pair.first, pair.second) not in seen:
                seen.add((pair.first, pair.second))
                queue.append(pair)
    return None


def _example(template: str, name: str) -> str:
    readable = name.replace(_ANY_OTHER, "x")
    db, _, table = readable.rpartition(".")
    return template.replace("{db}", db).replace("{table}", table)


def _after_any_db(destination: Destination, alphabet: str) -> set[_State]:
    """The states after `db.` for every possible db: without {db} in the template they all write to one name."""
    seen = {_begin(destination)}
    queue = deque(seen)
    while queue:
        for character in alphabet.replace(".", ""):
            state = _step(destination, queue[0], character)
            if _alive(state) and state not in seen and len(seen) < _MOST_STATES:
                seen.add(state)
                queue.append(state)
        queue.popleft()
    return {after for state in seen if _alive(after := _step(destination, state, "."))}


def _begin(destination: Destination) -> _State:
    return tuple(tuple(_closed(p, {0}) for p in _texts(patterns)) for patterns in destination.filters)


def _step(destination: Destination, state: _State, character: str) -> _State:
    return tuple(
        tuple(_moved(p, at, character) for p, at in zip(_texts(patterns), places, strict=True))
        for patterns, places in zip(destination.filters, state, strict=True)
    )


def _texts(patterns: tuple[str, ...]) -> Iterator[str]:
    return (pattern.removeprefix("!") for pattern in patterns)


def _closed(pattern: str, places: set[int]) -> frozenset[int]:
    """With the places that a `*` reaches by matching nothing."""
    for place in sorted(places):
        at = place
        while at < len(pattern) and pattern[at] == "*":
            at += 1
            places.add(at)
    return frozenset(places)


def _moved(pattern: str, places: frozenset[int], character: str) -> frozenset[int]:
    reached = set()
    for place in places:
        if place == len(pattern):
            continue
        if pattern[place] == "*":
            reached.add(place)
        elif pattern[place] in ("?", character):
            reached.add(place + 1)
    return _closed(pattern, reached)


def _alive(state: _State) -> bool:
    """Whether any pattern of each filter can still match."""
    return all(any(places) for places in state)


def _captured(destination: Destination, state: _State) -> bool:
    return all(_passes(patterns, places) for patterns, places in zip(destination.filters, state, strict=True))


def _passes(patterns: tuple[str, ...], places: tuple[frozenset[int], ...]) -> bool:
    verdict = False
    for pattern, at in zip(patterns, places, strict=True):
        if len(pattern.removeprefix("!")) in at:
            verdict = not pattern.startswith("!")
    return verdict
