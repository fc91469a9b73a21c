"""Where a new reader begins: from the checkpoint, else from the sinks' progress, else from `start:`; never a guess."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import orjson

from cdc.binlog.port import Source
from cdc.binlog.rows_port import RowSource
from cdc.model.checkpoint import Checkpoint, LaneCount, Progress, SourcePoint
from cdc.model.config import ConnectorConfig
from cdc.model.copies import NO_COPIES, Copies, least
from cdc.model.errors import Gap, SourceChanged
from cdc.model.position import ORIGIN, Sequence, file_number
from cdc.observe.logs import fields, get_logger
from cdc.processes.copier import planned
from cdc.processes.outbound import tolerant
from cdc.target.port import Target

log = get_logger(__name__)

SinkProgress = Mapping[str, Mapping[str, Progress]]
Noted = Callable[[], Copies | None]
"""What is certain of the copies by what the sinks' targets say; None where they know of none."""


def routing_fingerprint(config: ConnectorConfig, by_table: Iterable[str]) -> str:
    """Names everything on which lanes and counts of one generation depend."""
    parts = {
        "lanes": config.lanes,
        "topic": config.queue.topic,
        "tables": config.source.tables,
        "by_table": sorted({*by_table, *config.source.by_table}),
    }
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


def noted(progress: SinkProgress, targets: Mapping[str, Target]) -> Copies | None:
    """Of the lanes that have progress, what each has noted of the copies."""
    said = {name: target.copies() for name, target in targets.items()}
    return least(said[name].get(lane, "") for name, lanes in progress.items() for lane in lanes)


def resume(
    stored: Checkpoint | None,
    progress: SinkProgress,
    source: Source,
    rows: RowSource,
    config: ConnectorConfig,
    noted: Noted,
) -> Checkpoint:
    """The checkpoint to go on from (its token is still the old one's). Raises what `Source.verify` raises, and Gap."""
    checkpoint = _resume(stored, progress, source, rows, config, noted)
    return tolerant(checkpoint, checkpoint.replay_until)


def _resume(
    stored: Checkpoint | None,
    progress: SinkProgress,
    source: Source,
    rows: RowSource,
    config: ConnectorConfig,
    noted: Noted,
) -> Checkpoint:
    begun = [row for lanes in progress.values() for row in lanes.values() if row.watermark > ORIGIN]
    newest = max((row.watermark.generation for row in begun), default=0)
    if stored is not None and stored.generation >= newest:
        return _go_on(stored, source, rows, config)
    if begun:
        log.warning(
            "the queue has lost its checkpoint: reading again from what the sinks have applied",
            extra=fields(action="reader.recovering", generation=newest),
        )
        recovered = replace(_recover(progress, begun, source, config), copies=noted() or NO_COPIES)
        return _copying(recovered, source, rows, config) if _blank(progress) else recovered
    if config.source.start == "snapshot":
        return _copying(_generation(1, source.end(), source, config), source, rows, config)
    return _generation(1, source.resolve(config.source.start), source, config)


def _copying(fresh: Checkpoint, source: Source, rows: RowSource, config: ConnectorConfig) -> Checkpoint:
    """With copies of all captured tables of which there was none yet."""
    copies = fresh.copies
    known = {*copies.done, *copies.given_up, *(copy.name for copy in copies.tables)}
    new = [schema for schema in source.tables() if schema.name not in known]
    if copies.step and not new:
        return fresh
    log.info("tables are copied", extra=fields(action="copy.begun", tables=[schema.name for schema in new]))
    return replace(fresh, copies=copies.begun(planned(rows, config.source, one.db, one.table) for one in new))


def rewind(
    stored: Checkpoint | None,
    progress: SinkProgress,
    point: SourcePoint,
    source: Source,
    config: ConnectorConfig,
    noted: Noted,
) -> Checkpoint:
    """A new generation that applies the stream again from `point` on. Where the queue lost messages, copied rows may be among
    them: what the sinks have noted decides what of the tables is still to be copied."""
    rows = [row.watermark.generation for lanes in progress.values() for row in lanes.values()]
    latest = max([stored.generation if stored else 0, *rows])
    copies = noted() or (stored.copies if stored else NO_COPIES)
    fresh = replace(_generation(latest + 1, point, source, config, replay=True), copies=copies)
    return _after(tolerant(fresh, fresh.replay_until), stored)


def _go_on(stored: Checkpoint, source: Source, rows: RowSource, config: ConnectorConfig) -> Checkpoint:
    point = source.verify(stored.point)
    if point.source_id != stored.point.source_id:
        log.warning(
            "the source is another server now: a new generation begins at the same transactions",
            extra=fields(action="reader.failover", source_id=point.source_id),
        )
        fresh = _generation(stored.generation + 1, point, source, config, replay=True)
        return _after(replace(fresh, copies=stored.copies), stored)
    if stored.fingerprint == routing_fingerprint(config, stored.by_table):
        return stored
    log.info(
        "lanes or tables changed in the connector file: a new generation begins",
        extra=fields(action="reader.new_generation", generation=stored.generation + 1),
    )
    # A transaction that was sent in part is sent again, whole: what of it the sinks have is upserted.
    fresh = replace(_generation(stored.generation + 1, stored.point, source, config), copies=stored.copies)
    if config.source.start == "snapshot" and stored.copies.step:
        fresh = _copying(fresh, source, rows, config)
    return _after(replace(fresh, replay_until=stored.after._replace(generation=fresh.generation)), stored)


def _recover(progress: SinkProgress, rows: list[Progress], source: Source, config: ConnectorConfig) -> Checkpoint:
    """The progress rows are the last resort: nothing that every sink has is sent again, all else is."""
    lowest = min(rows, key=_read_from)
    if lowest.point is None or any(row.point and row.point.source_id != lowest.point.source_id for row in rows):
        raise SourceChanged(
            "the queue is gone, and the sinks' progress names different source servers",
            hint="choose where to begin: `cdc replay FILE --from POSITION`",
        )
    source.verify(lowest.point)
    point = source.resolve(str(lowest.point.position))
    begun = _begun(progress)
    if _blank(progress) and config.source.start != "snapshot":
        raise Gap(
            "the queue is gone, and some lanes have not applied anything from which to go on",
            hint="choose where to begin: `cdc replay FILE --from POSITION`",
        )
    newest = max(row.watermark.generation for row in rows)
    fresh = _generation(newest, point, source, config, replay=True)
    settled = _settled(begun)
    static: set[str] = set() if config.queue.topic else {str(number) for number in range(config.lanes)}
    same = {(row.watermark.generation, row.fingerprint) for row in rows} == {(newest, fresh.fingerprint)}
    if (
        same
        and not _blank(progress)
        and static <= settled.keys()
        and all(lanes.keys() == settled.keys() for lanes in begun)
    ):
        return replace(fresh, lanes=settled)
    return replace(
        _generation(newest + 1, point, source, config, replay=True), lanes=dict.fromkeys(settled, LaneCount())
    )


def _begun(progress: SinkProgress) -> list[Mapping[str, Progress]]:
    """Of the sinks that have applied anything, their lanes."""
    return [lanes for lanes in progress.values() if any(row.watermark > ORIGIN for row in lanes.values())]


def _blank(progress: SinkProgress) -> bool:
    """Whether a sink has applied something of some lanes and nothing of others: what these have missed since the start is known
    to nobody. Where the connector begins with copies, the tables are copied anew: the target has nothing of those lanes that
    could be too much."""
    return any(row.watermark == ORIGIN for lanes in _begun(progress) for row in lanes.values())


def _settled(sinks: list[Mapping[str, Progress]]) -> dict[str, LaneCount]:
    """For each lane what every sink has applied."""
    settled: dict[str, LaneCount] = {}
    for lanes in sinks:
        for lane, row in lanes.items():
            mine = LaneCount(row.count, row.watermark)
            settled[lane] = min(settled.get(lane, mine), mine, key=lambda state: state.after)
    return settled


def _read_from(row: Progress) -> tuple[int, int]:
    return (file_number(row.point.file), row.point.offset) if row.point else (0, 0)


def _generation(
    number: int, point: SourcePoint, source: Source, config: ConnectorConfig, *, replay: bool = False
) -> Checkpoint:
    by_table = tuple(source.tables_with_further_unique_keys())
    until = ORIGIN
    if replay:
        end = source.end()
        until = Sequence(number, file_number(end.file), end.offset, 0)
    return Checkpoint(
        generation=number,
        point=point,
        token=0,
        fingerprint=routing_fingerprint(config, by_table),
        by_table=by_table,
        replay_until=until,
    )


def _after(fresh: Checkpoint, stored: Checkpoint | None) -> Checkpoint:
    """The new generation, with the proof for the sinks of what came before it, on all lanes that ever were."""
    if stored is None:
        return fresh
    counts = {lane: state.count for lane, state in stored.lanes.items()}
    return replace(fresh, lanes=dict.fromkeys(counts, LaneCount()), previous=(stored.generation, counts))
