"""A stretch's items one by one, for whoever needs each by itself."""

from collections.abc import Iterator
from dataclasses import replace

from cdc.binlog.gtid import gtids
from cdc.binlog.port import Begin, End, Item, Passed, Rows, Stretched
from cdc.model.change import Transaction


def one_by_one(item: Stretched) -> Iterator[Item]:
    """As if each event had been read by itself."""
    stretch = item.stretch
    executed = gtids(item.flavor, item.begin.gtid_set)
    transaction = item.before
    new_schemas = item.new_schemas
    shown = None
    for number in range(stretch.transaction_count):
        begun = stretch.begun(number)
        rows = stretch.rows(number)
        if begun is not None:
            point = replace(item.begin, offset=begun.start, gtid_set=executed.text())
            transaction = Transaction(point, begun.server_id, begun.gtid or None, begun.thread, begun.commit_us)
            if rows:
                yield Begin(transaction)
        for offset, drafts in rows:
            yield Rows(offset, drafts, new_schemas)
            new_schemas = ()
        end = stretch.ended(number)
        if end is not None and transaction is not None:
            executed.add(transaction.gtid or "")
            if rows or begun is None:
                shown = end
                yield End(replace(item.begin, offset=end, gtid_set=executed.text()))
    if item.end is not None and item.end.offset != shown:
        yield Passed(item.end, idle=False)
