"""What a connector's commands look at, opened when it is first asked for, closed at the end."""

from contextlib import ExitStack
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING

from cdc.binlog.digest_port import DigestSource
from cdc.binlog.rows_port import RowSource
from cdc.coordination.port import Coordination
from cdc.model.config import ConnectorConfig
from cdc.queue.port import Queue
from cdc.target.port import Target

if TYPE_CHECKING:
    from cdc.binlog.registry import TableSource


class Parts:
    """A context manager. Each part may raise its own CdcError, at every attempt, and leaves the others usable."""

    def __init__(self, config: ConnectorConfig) -> None:
        self.config = config
        self._close = ExitStack()
        self._targets: dict[str, Target] = {}

    def __enter__(self) -> "Parts":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close.close()

    @property
    def rows(self) -> RowSource:
        return self.source

    @cached_property
    def source(self) -> "TableSource":
        from cdc.binlog.registry import open_source  # noqa: PLC0415 - `--offline` and `dlq` need not load all drivers

        source = open_source(self.config.source, connector=self.config.name)
        self._close.callback(source.close)
        return source

    @property
    def digests(self) -> DigestSource:
        """And digests of ranges of them."""
        return self.source

    @cached_property
    def queue(self) -> Queue:
        from cdc.queue.registry import open_queue  # noqa: PLC0415

        queue = open_queue(self.config)
        self._close.callback(queue.close)
        return queue

    @cached_property
    def coordination(self) -> Coordination:
        from cdc.coordination.registry import open_coordination  # noqa: PLC0415

        coordination = open_coordination(self.config.name, self.config.coordinator)
        self._close.callback(coordination.close)
        return coordination

    def target(self, sink: str) -> Target:
        if sink not in self._targets:
            from cdc.target.registry import open_target  # noqa: PLC0415

            target = open_target(self.config.name, sink, self.config.all_sinks[sink])
            self._close.callback(target.close)
            self._targets[sink] = target
        return self._targets[sink]

    @property
    def targets(self) -> dict[str, Target]:
        return {sink: self.target(sink) for sink in self.config.all_sinks}
