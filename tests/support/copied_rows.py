"""A sink of the test's own, which counts the rows of copies in the queue: how often each row was sent as read by SELECT.

The lanes keep what it has not acknowledged, so nothing passes unseen, however fast the real sinks are.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson

from cdc.queue.registry import open_queue
from cdc.wiring.connector_file import load
from tests.support.background import Background

SINK = "witness"
_MARK = b'"incremental"'
_MOST_MESSAGES = 2000
_MOST_BYTES = 16 * 1024 * 1024


class CopiedRows(Background):
    """Reads every lane as the sink `witness` of `file`, in a thread, until the block ends. Each row's key has one number in
    it, below `most`: in the column that `numbered` names for the table, else `id`."""

    def __init__(self, file: Path, most: int, numbered: Mapping[str, str]) -> None:
        super().__init__()
        self._file = file
        self._numbered = numbered
        self._seen: dict[str, bytearray] = defaultdict(lambda: bytearray(most))
        self.rows = 0
        self.begun = self.working = False
        """Whether anything was ever to be copied, and whether something still is, as the stored checkpoint says."""

    def by_table(self) -> dict[str, tuple[int, int]]:
        """Of each table, how many rows were sent at all, and how many more than once."""
        return {
            table: (len(seen) - seen.count(0), len(seen) - seen.count(0) - seen.count(1))
            for table, seen in self._seen.items()
        }

    def run(self) -> None:
        with closing(open_queue(load(self._file))) as queue:
            lanes = {lane: queue.reader(SINK, lane, "") for lane in queue.lanes()}
            while self._turn(lanes) or not self.stop.is_set():
                stored = queue.checkpoint()
                if stored is not None:
                    self.begun, self.working = stored.copies.step > 0, stored.copies.working
            for reader in lanes.values():
                reader.close()

    def _turn(self, lanes: Mapping[str, Any]) -> int:
        count = 0
        for reader in lanes.values():
            received = reader.read(_MOST_MESSAGES, _MOST_BYTES, 0.05)
            for message in received:
                if _MARK in message.value:
                    self._note(orjson.loads(message.value))
            if received:
                reader.ack(received[-1].offset)
            count += len(received)
        return count

    def _note(self, value: Mapping[str, Any]) -> None:
        source, row = value["source"], value["after"]
        assert (source["snapshot"], value["op"]) == ("incremental", "r"), value
        seen = self._seen[source["table"]]
        text = str(row[self._numbered.get(source["table"], "id")])
        number = int(re.sub(r"\D", "", text))
        seen[number] = min(seen[number] + 1, 2)
        self.rows += 1
