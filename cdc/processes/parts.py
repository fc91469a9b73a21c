"""What commands that look at a connector need of it."""

from typing import Protocol

from cdc.binlog.port import Source
from cdc.binlog.rows_port import RowSource
from cdc.coordination.port import Coordination
from cdc.model.config import ConnectorConfig
from cdc.queue.port import Queue
from cdc.target.port import Target


class Parts(Protocol):
    """Each part is opened when first asked for, and may raise its CdcError then; whoever made the Parts closes them."""

    @property
    def config(self) -> ConnectorConfig: ...
    @property
    def source(self) -> Source: ...
    @property
    def rows(self) -> RowSource: ...
    @property
    def queue(self) -> Queue: ...
    @property
    def coordination(self) -> Coordination: ...
    def target(self, sink: str) -> Target: ...
