"""How stretches of the binlog go into an Outbound."""

from collections.abc import Callable, Iterable, Iterator

from cdc.binlog.expansion import one_by_one
from cdc.binlog.port import Item, Stretched
from cdc.processes.outbound import Outbound


def taken(
    items: Iterable[Item | None], out: Outbound, apart: Callable[[Stretched], bool] = lambda item: False
) -> Iterator[Item | None]:
    """The same items. A stretch comes when its rows are in `out`; where that cannot be done at once, or it shall come `apart`,
    its parts come in its place, for the caller to hand on.
    """
    for item in items:
        if isinstance(item, Stretched) and (apart(item) or not out.stretch(item)):
            yield from one_by_one(item)
        else:
            yield item
