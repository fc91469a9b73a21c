"""The drafts of a rows event as changes of rows: an update that changed the key, which comes as two drafts, is one again."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from cdc.model.change import Draft, Row


class RowChange(NamedTuple):
    """`number`: the index of its first draft; `drafts`: how many it has, 2 where the key changed, else 1. `key`: of the row that
    it changed; `new_key`: after it, the same but for an update that changed the key, {} after a delete."""

    number: int
    drafts: int
    op: str
    key: Row
    new_key: Row
    before: Row | None
    after: Row | None

    @property
    def keys(self) -> tuple[Row, ...]:
        """Those under which it is looked for: one, or the old one and the new one."""
        return (self.key,) if self.drafts == 1 else (self.key, self.new_key)


def row_changes(drafts: Iterable[Draft]) -> Iterator[RowChange]:
    """`drafts`: all of one rows event. Its rows were all inserted, all updated or all deleted, so a delete with an insert behind
    it can only be the two halves of an update (cdc.binlog.port.Rows)."""
    held: tuple[int, Draft] | None = None
    for number, draft in enumerate(drafts):
        if held is not None:
            before, old = held
            held = None
            if draft.op == "c":
                yield RowChange(before, 2, "u", old.key, draft.key, old.before, draft.after)
                continue
            yield _alone(before, old)
        if draft.op == "d":
            held = number, draft
        else:
            yield _alone(number, draft)
    if held is not None:
        yield _alone(*held)


def _alone(number: int, draft: Draft) -> RowChange:
    return RowChange(number, 1, draft.op, draft.key, {} if draft.op == "d" else draft.key, draft.before, draft.after)
