"""`cdc run`, `cdc reader`, `cdc sink`: the long-running processes."""

import sys
import threading
from collections.abc import Callable, Sequence
from functools import partial

import click

from cdc.cli.allocator import keep_freed_memory
from cdc.cli.drain_progress import DrainProgress
from cdc.cli.screen import LogOptions
from cdc.cli.serve import Service, service
from cdc.model.config import ConnectorConfig
from cdc.model.errors import UsageError
from cdc.model.position import FilePosition, file_number
from cdc.model.position import Sequence as Position
from cdc.processes.supervisor import Child, Supervisor
from cdc.wiring import build
from cdc.wiring.connector_file import load, load_all
from cdc.wiring.loading import load_modules
from cdc.wiring.parts import Parts

_metrics_port = click.option(
    "--metrics-port", type=click.IntRange(0, 65535), help="serve /metrics, /healthz, /readyz here"
)
_metrics_host = click.option(
    "--metrics-host", default="127.0.0.1", show_default=True, help="elsewhere: CDC_METRICS_TOKEN"
)
_supervised = click.option("--supervised", is_flag=True, hidden=True)


@click.command()
@click.argument("file")
@click.option("--drain-to", hidden=True)
@_metrics_port
@_metrics_host
@_supervised
def reader(file: str, drain_to: str | None, metrics_port: int | None, metrics_host: str, supervised: bool) -> None:
    """Streams the source's row changes into the queue. A second reader waits as a hot standby."""
    config = load(file)
    _no_memory(config)
    until = None if drain_to is None else _position(drain_to)
    with service(supervised=supervised, metrics_port=metrics_port, metrics_host=metrics_host) as served:
        _reader(config, until, served)


@click.command()
@click.argument("file")
@click.option("--sink", "names", multiple=True, help="only this sink (again for more); default: all of the file")
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="processes for each sink")
@_metrics_port
@_metrics_host
@_supervised
@click.pass_context
def sink(
    ctx: click.Context,
    file: str,
    names: tuple[str, ...],
    workers: int,
    metrics_port: int | None,
    metrics_host: str,
    supervised: bool,
) -> None:
    """Applies the lanes to the targets; all workers of a connector, anywhere, share the lanes."""
    keep_freed_memory()
    config = load(file)
    _no_memory(config)
    wanted = _sinks(config, names)
    with service(
        supervised=supervised,
        metrics_port=None if workers * len(wanted) > 1 else metrics_port,
        metrics_host=metrics_host,
    ) as served:
        if workers * len(wanted) == 1:
            _sink(config, wanted[0], served)
            return
        children = _sink_children(ctx, file, config, wanted, workers, metrics_port)
        ctx.exit(Supervisor(children).run(served.stop))


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE…")
@click.option("--drain", is_flag=True, help="stop when everything committed before the start is applied")
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="processes for each sink")
@click.option(
    "--metrics-port", type=click.IntRange(1, 65000), help="the first reader's port; each process takes the next"
)
@click.pass_context
def run(ctx: click.Context, files: tuple[str, ...], drain: bool, workers: int, metrics_port: int | None) -> None:
    """Readers and sinks of one or more connectors under one supervisor.

    Exit status: 0 in step or stopped by a signal, 1 an error (said once, on stderr).
    """
    configs = load_all(files)
    with service(supervised=False, metrics_port=None) as served, DrainProgress(configs if drain else []) as progress:
        if any(config.queue.url.scheme == "memory" for config in configs):
            _run_here(configs, served, progress)
            return
        children = []
        port = metrics_port
        for file, config in zip(files, configs, strict=True):
            until = progress.until(config.name)
            options = ["--drain-to", until] if until else []
            children.append(_child(ctx, f"reader {config.name}", ["reader", file, *options], port))
            port = port and port + 1
            sinks = _sink_children(ctx, file, config, list(config.all_sinks), workers, port)
            port = port and port + len(sinks)
            children += sinks
            if config.verify is not None and not drain:
                children.append(_child(ctx, f"verify {config.name}", ["verify", file, "--scheduled"], port))
                port = port and port + 1
        ctx.exit(Supervisor(children).run(served.stop, progress.done if drain else None))


def _reader(config: ConnectorConfig, drain_to: Position | None, served: Service) -> None:
    metrics = served.metrics.reader(config.name)
    with Parts(config) as parts:
        build.reader(parts, metrics=metrics, health=served.health, drain_to=drain_to).run(served.stop)


def _sink(config: ConnectorConfig, name: str, served: Service) -> None:
    metrics = served.metrics.sink(config.name, name)
    with Parts(config) as parts:
        worker = build.sink_worker(parts, name, metrics=metrics, health=served.health)
        served.on_stop.append(worker.wake)
        worker.run(served.stop)


def _verify(config: ConnectorConfig, served: Service) -> None:
    from cdc.cli.verify import verify_on_schedule  # noqa: PLC0415 - few connectors ask for it here

    verify_on_schedule(config, served)


def _sink_children(
    ctx: click.Context, file: str, config: ConnectorConfig, names: Sequence[str], workers: int, port: int | None
) -> list[Child]:
    children = []
    for name in names:
        for number in range(1, workers + 1):
            child = _child(ctx, f"sink {config.name}/{name}-{number}", ["sink", file, "--sink", name], port)
            children.append(child)
            port = port and port + 1
    return children


def _child(ctx: click.Context, name: str, arguments: list[str], port: int | None) -> Child:
    options = ctx.find_object(LogOptions) or LogOptions()
    metrics = [] if port is None else ["--metrics-port", str(port)]
    log = ["--log-level", options.level, "--log-format", options.format]
    return Child(name, [sys.executable, "-m", "cdc", *log, *arguments, *metrics, "--supervised"])


def _run_here(configs: Sequence[ConnectorConfig], served: Service, progress: DrainProgress) -> None:
    """Connectors whose queue lives in memory: every part is a thread of this process."""
    errors: list[BaseException] = []

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - it rises again below, in the main thread
            errors.append(error)
            served.end()

    works: list[Callable[[], None]] = []
    for config in configs:
        load_modules(config, running=True)
        until = progress.until(config.name)
        works.append(partial(_reader, config, _position(until) if until else None, served))
        works += [partial(_sink, config, name, served) for name in config.all_sinks]
        if config.verify is not None and not progress.draining:
            works.append(partial(_verify, config, served))
    threads = [threading.Thread(target=guarded, args=(work,), daemon=True) for work in works]
    for thread in threads:
        thread.start()
    while not served.stop.wait(0.1):
        if progress.draining and progress.done():
            served.end()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def _sinks(config: ConnectorConfig, names: Sequence[str]) -> list[str]:
    for name in names:
        if name not in config.all_sinks:
            raise UsageError(f"there is no sink '{name}'", hint=f"the file has {', '.join(config.all_sinks)}")
    return list(names or config.all_sinks)


def _no_memory(config: ConnectorConfig) -> None:
    if config.queue.url.scheme == "memory":
        raise UsageError("a queue in memory lives in one process", hint="use `cdc run`")


def _position(text: str) -> Position:
    position = FilePosition.parse(text)
    return Position(0, file_number(position.file), position.offset, 0)
