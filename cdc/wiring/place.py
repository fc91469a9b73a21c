"""A place in a connector file, as an error names it."""

from dataclasses import dataclass

from cdc.model.errors import ConnectorFileError

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """`line` counts from 1; None where the whole file is meant. `path`: keys and list indexes from the root."""

    file: str
    line: int | None = None
    path: Path = ()

    @property
    def key(self) -> str:
        """The dotted form: `source.tables[1]`."""
        return "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in self.path).removeprefix(".")

    def refused(self, what: str, *, hint: str) -> ConnectorFileError:
        return ConnectorFileError(what, hint=hint, file=self.file, line=self.line, key=self.key)
