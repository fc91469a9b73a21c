"""Imports, in one thread, what the parts of a connector import when they are asked.

Threads that import modules of one package by different ways can wait for each other in a circle. importlib then lets one of them
go on with a module that is half made (importlib/_bootstrap.py, `_lock_unlock_module`: "Concurrent circular import, we'll accept a
partially initialized module object"), and the import fails, or what uses it does. So who asks parts in several threads loads them
first. tests/e2e/test_loading.py watches that nothing is left out.
"""

from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module

from cdc.binlog import decoder
from cdc.model.config import ConnectorConfig
from cdc.model.errors import FatalError
from cdc.queue import registry as queues
from cdc.target import registry as targets

_RUNNING = ("cdc.observe.metrics", "cdc.processes.reader", "cdc.processes.sink")
_REDIS = ("cdc.coordination.redis", "cdc.coordination.redis_doctor", "importlib.readers")
_SQL = ("cdc.target.sql.plan", "cdc.target.sql.rows")


def _target(product: str) -> tuple[str, ...]:
    own = (f"cdc.target.{product}_{what}" for what in ("writer", "engine", "rows"))
    return (*_SQL, *own, f"cdc.target.doctor.{product}")


_LATER = {
    "cdc.queue.redis_streams": ("cdc.queue.redis_doctor",),
    "cdc.target.postgresql": (
        *_target("postgresql"),
        "cdc.target.postgresql_catalog",
        "sqlalchemy.dialects.postgresql.psycopg",
    ),
    "cdc.target.mysql": (*_target("mysql"), "cdc.target.mysql_tables", "sqlalchemy.dialects.mysql.pymysql"),
    "cdc.target.sqlite": (*_target("sqlite"), "sqlalchemy.dialects.sqlite.pysqlite"),
}


def load_modules(config: ConnectorConfig, *, running: bool = False) -> None:
    """What cannot be imported is passed over: who asks for it hears why. `running`: for a reader and sinks in this process."""
    for module in (*_modules(config), *(_RUNNING if running else ())):
        with suppress(ImportError):
            import_module(module)
    with suppress(FatalError):
        decoder.load()


def _modules(config: ConnectorConfig) -> Iterator[str]:
    yield "cdc.binlog.source"
    yield "cdc.coordination.registry"
    yield from ("cdc.coordination.memory",) if config.coordinator.url.scheme == "memory" else _REDIS
    paths = [queues.ADAPTERS[config.queue.url.scheme][0]]
    paths += [targets.ADAPTERS[sink.url.scheme].path for sink in config.all_sinks.values()]
    for path in paths:
        adapter = path.partition(":")[0]
        yield adapter
        yield from _LATER.get(adapter, ())
