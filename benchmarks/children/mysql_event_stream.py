"""mysql-event-stream (a C++ engine behind ctypes), by CdcStream, which its manual calls the surface for applications."""

import asyncio
import sys
from typing import Any

from benchmarks.children.report import Meter, job, tell


async def read(asked: dict[str, Any]) -> None:
    sys.path.insert(0, asked["packages"])
    try:
        from mysql_event_stream import (  # type: ignore[import-not-found] # noqa: PLC0415 - a peer, in the bench cache
            CdcStream,
        )
    except ImportError as error:
        tell({"not_run": f"it cannot be imported: {error}"})
        return
    stream = CdcStream(
        host=asked["host"],
        port=asked["port"],
        user=asked["user"],
        password=asked["password"],
        server_id=asked["server_id"],
        start_binlog_file=asked["file"],
        start_binlog_position=4,
        include_databases=[asked["database"]],
        ssl_mode=0,
        allow_public_key_retrieval=True,
    )
    async with stream:
        meter = Meter()
        seen = 0
        async for _ in stream:
            seen += 1
            if seen >= asked["rows"]:
                break
        meter.tell(seen)


if __name__ == "__main__":
    asyncio.run(read(job()))
