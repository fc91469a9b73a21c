"""Socket to finished messages with lanes, in the wire format; then thrown away. CDC_DECODER chooses the decoder."""

from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks.children.report import Meter, NotRun, job, tell
from cdc.binlog.port import Altered, Begin, End, Passed, Rows, Stretched, Truncated
from cdc.binlog.registry import open_source
from cdc.model.change import Message
from cdc.model.checkpoint import Checkpoint, SourcePoint
from cdc.model.config import SourceConfig
from cdc.model.errors import CdcError
from cdc.processes.outbound import Outbound
from cdc.processes.spread import Routing
from cdc.processes.stretches import taken

# As the reader publishes.
_TAKE_MESSAGES = 2000
_TAKE_BYTES = 2 * 1024 * 1024
_IDLE_SECONDS = 10


def batches(asked: dict[str, Any]) -> Iterator[Sequence[Message]]:
    """Batches of messages, as the reader would publish them, until `rows` change events were read and their transaction
    is over (or not, with `part`). The stream is open before the first is asked for."""
    source = open_source(
        SourceConfig.model_validate(
            {"url": asked["url"], "server_id": asked["server_id"], "tables": tuple(asked["tables"])}
        ),
        connector="bench",
    )
    point = SourcePoint(source.identity(), asked["file"], 4)
    stream = source.stream(point, source.tables_at(point, ()))
    out = Outbound(Checkpoint(1, point, 1, "bench"), Routing("bench", "mysql", asked["lanes"]))
    yield ()
    seen = idle = 0
    for item in taken(stream.items(lambda: 1.0, stretches=True), out):
        idle = idle + 1 if item is None else 0
        if idle > _IDLE_SECONDS:
            raise NotRun(f"the binlog ended after {seen} of {asked['rows']} rows")
        match item:
            case Begin():
                out.begin(item.transaction)
            case Stretched():
                seen += sum(item.stretch.ops().values())
            case Rows():
                out.rows(item.offset, item.drafts, item.first_row, item.query)
                seen += len(item.drafts)
            case End():
                out.end(item.point)
            case Truncated():
                out.truncate(item.offset, item.db, item.table)
            case Altered():
                out.alter(item.offset, item.row, item.change)
            case Passed():
                out.passed(item.point)
        done = seen >= asked["rows"] and (asked.get("part") or not out.inside)
        if len(out) >= _TAKE_MESSAGES or out.bytes >= _TAKE_BYTES or done:
            yield out.take()[0]
        if done:
            break
    stream.close()
    source.close()


def main() -> None:
    asked = job()
    try:
        stream = batches(asked)
        next(stream)
        meter = Meter()
        messages = sum(map(len, stream))
    except (CdcError, NotRun) as error:
        tell({"not_run": str(error)})
        return
    meter.tell(messages)


if __name__ == "__main__":
    main()
