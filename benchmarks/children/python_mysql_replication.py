"""python-mysql-replication: row values as Python objects; nothing is made of them."""

from pymysqlreplication import BinLogStreamReader
from pymysqlreplication.row_event import DeleteRowsEvent, UpdateRowsEvent, WriteRowsEvent

from benchmarks.children.report import Meter, job


def main() -> None:
    asked = job()
    stream = BinLogStreamReader(
        connection_settings={
            "host": asked["host"],
            "port": asked["port"],
            "user": asked["user"],
            "passwd": asked["password"],
        },
        server_id=asked["server_id"],
        log_file=asked["file"],
        log_pos=4,
        resume_stream=True,
        blocking=True,
        # Its manual: "only_events" saves the work on all others.
        only_events=[WriteRowsEvent, UpdateRowsEvent, DeleteRowsEvent],
        only_schemas=[asked["database"]],
    )
    meter = Meter()
    seen = 0
    for event in stream:
        seen += len(event.rows)
        if seen >= asked["rows"]:
            break
    meter.tell(seen)
    stream.close()


if __name__ == "__main__":
    main()
