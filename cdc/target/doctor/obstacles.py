"""What a target's table has that the source's has not, and what that does to the rows that are applied. Pure.

Whether its columns hold the source's values is `inspect`'s to say.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from cdc.model.finding import Finding, named
from cdc.model.schema import Column
from cdc.target.port import Expected


@dataclass(frozen=True, slots=True)
class UniqueKey:
    """`whole`: on whole columns, not on prefixes or expressions."""

    name: str
    columns: frozenset[str]
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Present:
    """A table at the target. Column names are as the caller compares them.

    `triggers`: that fire on what a sink writes. `references`: foreign keys that are checked, by name, with the table that each
    refers to. `generated`: columns that the target computes. `mandatory`: columns without NULL and without a default.
    `merging`: columns whose collation takes for equal what differs in bytes, with its name.
    """

    name: str
    unique: tuple[UniqueKey, ...] = ()
    triggers: tuple[str, ...] = ()
    references: Mapping[str, str] = field(default_factory=dict)
    generated: frozenset[str] = frozenset()
    mandatory: tuple[str, ...] = ()
    merging: Mapping[str, str] = field(default_factory=dict)


def obstacles(expected: Expected, present: Present, *, fold_case: bool) -> Iterator[Finding]:
    """`fold_case`: the names in `present` are case-folded."""
    names = {_folded(column.name, fold_case): column for column in expected.schema.columns}
    key = frozenset(_folded(name, fold_case) for name in expected.schema.key)
    there = [key, *(frozenset(_folded(name, fold_case) for name in columns) for columns in expected.unique)]
    yield from _unique(present, frozenset(names), there)
    yield from _triggers(present)
    yield from _references(expected, present)
    yield from _generated(present, names)
    yield from _mandatory(present, frozenset(names))
    yield from _collations(present, {name: names[name] for name in key if name in names})


def _folded(name: str, fold_case: bool) -> str:
    return name.casefold() if fold_case else name


def _unique(present: Present, columns: frozenset[str], there: list[frozenset[str]]) -> Iterator[Finding]:
    """One that holds a unique key of the source's is unique by that alone; one with further columns has values of its own."""
    stricter = [
        f"{one.name} ({', '.join(sorted(one.columns)) or 'an expression'})"
        for one in present.unique
        if one.columns <= columns and not (one.whole and any(known and known <= one.columns for known in there))
    ]
    if stricter:
        yield Finding(
            "warning",
            "unique keys",
            f"{present.name} has unique keys that the source has not: {named(stricter)}; a row of the source may be refused",
            "drop them at the target, make them at the source too, or set sink.on_error: dead_letter",
        )


def _triggers(present: Present) -> Iterator[Finding]:
    if present.triggers:
        yield Finding(
            "warning",
            "triggers",
            f"{present.name} has triggers that fire on applied rows: {named(present.triggers)}; what the source's own did comes"
            " with its rows",
            "drop them at the target, unless what they do is meant",
        )


def _references(expected: Expected, present: Present) -> Iterator[Finding]:
    if present.references and expected.lanes > 1:
        shown = [f"{name} → {parent}" for name, parent in present.references.items()]
        yield Finding(
            "warning",
            "foreign keys",
            f"{present.name} refers to other tables: {named(shown)}; {expected.lanes} lanes run side by side, and a child that"
            " comes before its parent is refused",
            "drop them at the target (the source has checked them), or use one lane (order: transaction)",
        )


def _generated(present: Present, names: Mapping[str, Column]) -> Iterator[Finding]:
    computed = sorted(names[name].name for name in present.generated if name in names)
    if computed:
        yield Finding(
            "warning",
            "generated columns",
            f"{present.name} computes {named(computed)} by itself: the source's values do not get there",
            "make them plain columns, or see that the expressions are the source's",
        )


def _mandatory(present: Present, names: frozenset[str]) -> Iterator[Finding]:
    lacking = [name for name in present.mandatory if name not in names]
    if lacking:
        yield Finding(
            "error",
            "mandatory columns",
            f"{present.name} has columns that the source has not, without NULL and without a default: {named(lacking)}; every"
            " new row is refused",
            "give them a default, or let them be NULL",
        )


def _collations(present: Present, keys: Mapping[str, Column]) -> Iterator[Finding]:
    """Two rows of the source would be one here: an error where the source surely keeps them apart."""
    for name, column in keys.items():
        collation = present.merging.get(name)
        if collation is None:
            continue
        exact = column.collation is None or column.collation == "binary" or column.collation.endswith("_bin")
        yield Finding(
            "error" if exact else "warning",
            "collations",
            f"{present.name}.{column.name}, a key column, has {collation}, which takes for equal what"
            f" {'the source keeps' if exact else 'the source may keep'} apart",
            "give the column a collation that tells all texts apart",
        )
