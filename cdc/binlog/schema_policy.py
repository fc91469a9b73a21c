"""What becomes of a captured table's change: handed on, passed over, or the stop that the connector file asks for."""

from dataclasses import dataclass
from typing import Literal

from cdc.model.errors import NotUnderstood
from cdc.model.schema_change import SchemaChange
from cdc.observe.logs import fields, get_logger

log = get_logger(__name__)

Policy = Literal["apply", "stop", "ignore"]


@dataclass(frozen=True, slots=True)
class SchemaPolicy:
    """`source.schema_changes` and `source.destructive_changes`."""

    changes: Policy = "apply"
    destructive: Policy = "stop"

    def hands_on(self, change: SchemaChange, *, place: str, behind: str) -> bool:
        """Raises NotUnderstood where the policy is to stop. `place`, `behind`: the statement's start and end, as file:offset."""
        policy = self.destructive if change.destructive else self.changes
        key = "destructive_changes" if change.destructive else "schema_changes"
        if policy == "stop":
            raise NotUnderstood(
                f"{_words(change)} (source.{key}: stop)",
                hint=f"set source.{key}: apply, and the sinks do the same; or do it at the sinks yourself and "
                f"`cdc replay --from {behind}`; or set it to ignore",
            )
        if policy == "ignore":
            log.warning(
                f"{_words(change)} at {place} is passed over: the sinks' tables stay as they are",
                extra=fields("source.schema_passed", place=place, table=change.name, kind=change.kind),
            )
            return False
        log.info(
            f"{_words(change)} at {place}",
            extra=fields("source.schema_changed", place=place, table=change.name, kind=change.kind),
        )
        return True


def _words(change: SchemaChange) -> str:
    if change.kind == "rename" and change.to is not None:
        return f"table {change.name} is now {'.'.join(change.to)}"
    done = {"create": "created", "alter": "altered", "drop": "dropped, or renamed to what is not captured"}[change.kind]
    return f"captured table {change.name} was {done}"
