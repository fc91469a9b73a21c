"""What becomes of a table's columns by the steps of a schema change: names and places only, so that every target can use it.

A step that finds its work done is passed over: a column that is to be made and is there, one that is to go and is gone, one
that has its new name and not its old one.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from cdc.model.change import Value
from cdc.model.errors import TargetRefused
from cdc.model.schema import Column
from cdc.model.schema_change import AddColumn, DropColumn, ModifyColumn, RenameColumn, SetKey, Step
from cdc.target.sql.names import shown

Fold = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Place:
    """One column as it shall be. `origin`: its name before, None for one that is made. `column`: what it must hold, where a
    step says so; `modified`: a step changes it, `before` is what the source had. `after`: as AddColumn.after, in the end by final
    names."""

    name: str
    origin: str | None = None
    column: Column | None = None
    before: Column | None = None
    modified: bool = False
    fill: Value = None
    after: str | None = None

    @property
    def made(self) -> Column | None:
        return self.column if self.origin is None else None


@dataclass(frozen=True, slots=True)
class Reshaped:
    """`places` in the order in which the columns shall stand; `dropped`: old names; `key`: by final names, None where no step
    sets it."""

    places: tuple[Place, ...]
    dropped: tuple[str, ...]
    key: tuple[str, ...] | None

    def final(self, origin: str) -> str | None:
        """The name that a column has afterwards; None: it goes."""
        return next((place.name for place in self.places if place.origin == origin), None)


def reshape(table: str, names: Iterable[str], steps: Sequence[Step], fold: Fold) -> Reshaped:
    """Raises TargetRefused where a step finds neither its work nor what it works on. `table`: for messages."""
    work = _Work(table, [Place(name, name) for name in names], fold)
    index = 0
    while index < len(steps):
        step = steps[index]
        if isinstance(step, RenameColumn):
            run = _run(steps[index:])
            work.rename(run)
            index += len(run)
            continue
        work.take(step)
        index += 1
    return Reshaped(tuple(_placed(work.places)), tuple(work.dropped), work.key)


def _placed(places: Sequence[Place]) -> Iterator[Place]:
    """A later step may have renamed the column behind which one is made."""
    for index, place in enumerate(places):
        moves = place.made is not None and place.after is not None
        yield replace(place, after=places[index - 1].name if index else "") if moves else place


def _run(steps: Sequence[Step]) -> list[RenameColumn]:
    """The renames at the beginning: one statement's, which names columns as they were before it."""
    run: list[RenameColumn] = []
    for step in steps:
        if not isinstance(step, RenameColumn):
            break
        run.append(step)
    return run


class _Work:
    def __init__(self, table: str, places: list[Place], fold: Fold) -> None:
        self._table = table
        self._fold = fold
        self.places = places
        self.dropped: list[str] = []
        self.key: tuple[str, ...] | None = None

    def take(self, step: Step) -> None:
        if isinstance(step, AddColumn):
            self._add(step)
        elif isinstance(step, DropColumn):
            self._drop(step.name)
        elif isinstance(step, ModifyColumn):
            self._modify(step)
        elif isinstance(step, SetKey):
            self.key = tuple(self.places[self._expect(name, "to be in the key")].name for name in step.key)

    def rename(self, run: Sequence[RenameColumn]) -> None:
        """One after the other, as steps are read; where a new name is taken then, all at once: names that change places."""
        before = list(self.places)
        try:
            for step in run:
                self._rename_one(step)
        except TargetRefused:
            self.places = before
            self._rename_at_once(run)

    def _rename_one(self, step: RenameColumn) -> None:
        old, new = self._find(step.name), self._find(step.to)
        if old is None and new is not None:
            return
        if old is None or new not in {None, old}:
            raise self._refused(step, old is not None)
        self._set_name(old, step.to)

    def _rename_at_once(self, run: Sequence[RenameColumn]) -> None:
        leaving = {self._fold(step.name) for step in run}
        moves: list[tuple[int, str]] = []
        for step in run:
            old = self._find(step.name)
            if old is not None:
                moves.append((old, step.to))
            elif self._find(step.to) is None or self._fold(step.to) in leaving:
                raise self._refused(step, both=False)
        for index, name in moves:
            self._set_name(index, name)
        folded = [self._fold(place.name) for place in self.places]
        for step in run:
            if folded.count(self._fold(step.to)) > 1:
                raise self._refused(step, both=True)

    def _set_name(self, index: int, name: str) -> None:
        place = self.places[index]
        column = place.column and replace(place.column, name=name)
        self.places[index] = replace(place, name=name, column=column)

    def _add(self, step: AddColumn) -> None:
        index = self._find(step.column.name)
        if index is not None:
            self.places[index] = replace(self.places[index], column=step.column)
            return
        made = Place(step.column.name, None, step.column, fill=step.fill, after=step.after)
        if step.after == "":
            self.places.insert(0, made)
            return
        place = None if step.after is None else self._find(step.after)
        if place is None:
            self.places.append(replace(made, after=None))
        else:
            self.places.insert(place + 1, made)

    def _drop(self, name: str) -> None:
        index = self._find(name)
        if index is not None:
            origin = self.places.pop(index).origin
            self.dropped += [] if origin is None else [origin]

    def _modify(self, step: ModifyColumn) -> None:
        index = self._expect(step.column.name, "to be changed")
        place = self.places[index]
        if place.origin is None:
            self.places[index] = replace(place, column=step.column)
            return
        before = place.before if place.modified else step.before
        self.places[index] = replace(place, column=step.column, before=before, modified=True)

    def _find(self, name: str) -> int | None:
        folded = self._fold(name)
        return next((at for at, place in enumerate(self.places) if self._fold(place.name) == folded), None)

    def _expect(self, name: str, what: str) -> int:
        index = self._find(name)
        if index is None:
            raise TargetRefused(
                f"the target's table {shown(self._table)} has no column {shown(name)} {what}",
                hint="bring the table by hand to the source's shape; what fits is taken as it is",
            )
        return index

    def _refused(self, step: RenameColumn, both: bool) -> TargetRefused:
        there = "both are there" if both else "neither is there"
        return TargetRefused(
            f"column {shown(step.name)} of the target's table {shown(self._table)} cannot become {shown(step.to)}: {there}",
            hint="drop or rename the one that is not the source's"
            if both
            else "bring the table by hand to the source's shape",
        )
