"""The adapter behind cdc.binlog.port.Source and cdc.binlog.rows_port.RowSource: one MySQL or MariaDB server."""

from collections.abc import Mapping, Sequence

from cdc.binlog.archive.joined import Joined
from cdc.binlog.connection import MOST_OFFSET, DumpRequest, where
from cdc.binlog.digest_port import Digested
from cdc.binlog.doctor import checks
from cdc.binlog.doctor.settings import refuse_unsafe
from cdc.binlog.files_between import bytes_between
from cdc.binlog.history import Place
from cdc.binlog.history.context import TableName
from cdc.binlog.port import BinlogFile, Retention, TableSize
from cdc.binlog.reading import transactions_from
from cdc.binlog.replica_lag import Replicas
from cdc.binlog.rows_port import Chunk, Key, ReplicaLag, Wanted
from cdc.binlog.scan import Scanner
from cdc.binlog.selecting import Chunks
from cdc.binlog.server import Server
from cdc.binlog.shapes import shapes_at, unaltered
from cdc.binlog.sizes import table_sizes
from cdc.binlog.start import Starts
from cdc.binlog.stream import BinlogStream
from cdc.binlog.tables import baseline, captured_tables, generated_columns, tables_with_further_unique_keys, unique_keys
from cdc.model.checkpoint import SourcePoint
from cdc.model.config import SourceConfig
from cdc.model.errors import PositionError, SourceChanged
from cdc.model.finding import Finding
from cdc.model.position import FilePosition, file_number
from cdc.model.routing import TableFilter
from cdc.model.schema import TableSchema
from cdc.model.table_version import TableVersion
from cdc.observe.logs import fields, get_logger

log = get_logger(__name__)
_SCANNED_FOR_CONVENIENCE_BYTES = 256 * 1024 * 1024


class BinlogSource:
    """Facts come over one kept connection, each stream and each scan has one of its own."""

    def __init__(self, config: SourceConfig, connector: str) -> None:
        self._config = config
        self._connector = connector
        self._server = Server(config)
        self._joined = Joined(config, self._server)
        self._identity = ""
        self._created: dict[str, int] = {}
        self._chunks = Chunks(config, self._server, self.identity)
        self._replicas = Replicas(config)

    def identity(self) -> str:
        if not self._identity:
            self._identity = self._server.identity()
        return self._identity

    def describe(self) -> str:
        return self._server.product().name

    def flavor(self) -> str:
        return self._server.product().flavor

    def end(self) -> SourcePoint:
        status = self._server.status()
        return SourcePoint(self.identity(), *status.position, status.executed)

    def resolve(self, start: str) -> SourcePoint:
        refuse_unsafe(self._server)
        return self._starts().resolve(start)

    def verify(self, point: SourcePoint) -> SourcePoint:
        self._identity = ""
        self._created.clear()
        self._chunks.forget()
        verified = self._starts().verify(point)
        if verified.source_id != point.source_id:
            log.warning(
                f"the source is another server now: {point.position} there is {verified.position} here",
                extra=fields("source.failed_over", old=point.source_id, new=verified.source_id),
            )
        return verified

    def tables_at(self, point: SourcePoint, known: Sequence[TableVersion]) -> Sequence[TableVersion]:
        remembered = shapes_at(point, known)
        missing = [one for one in self._present() if (one.db, one.table) not in {(v.db, v.table) for v in remembered}]
        if not missing:
            return remembered
        end = self.end()
        if (end.file, end.offset) == (point.file, point.offset):
            altered: frozenset[TableName] | None = frozenset()
        elif self._worth_a_scan(point):
            altered = self._scanner().altered(point)
        else:
            altered = None
        return [*remembered, *unaltered(missing, altered, point)]

    def _present(self) -> list[TableVersion]:
        status = self._server.status()
        place = Place(self.identity(), file_number(status.position.file), status.position.offset)
        return baseline(self._server, TableFilter(self._config.tables), place)

    def _worth_a_scan(self, point: SourcePoint) -> bool:
        """Where table maps tell all, shapes of before the first one are no more than a convenience."""
        metadata = self._server.variables("binlog_row_metadata").get("binlog_row_metadata", "")
        return metadata.upper() != "FULL" or self.bytes_behind(point.position) < _SCANNED_FOR_CONVENIENCE_BYTES

    def stream(self, point: SourcePoint, tables: Sequence[TableVersion] = ()) -> BinlogStream:
        refuse_unsafe(self._server)
        flavor = self._server.product().flavor
        # The dump command has 4 bytes for the offset. Beyond 4 GiB the file is read from its beginning, and passed over.
        offset = point.offset if point.offset <= MOST_OFFSET else 4
        request = DumpRequest(
            FilePosition(point.file, offset),
            flavor,
            self._config.server_id,
            follow=True,
        )
        transactions = transactions_from(
            point,
            tables,
            self._config,
            flavor,
            scanner=self._scanner,
            files=self._joined.all_files,
            folds_names=self._server.folds_names(),
        )
        stream = BinlogStream(self._joined.dump(request, point.gtid_set), point, transactions, offset=offset)
        log.info(
            f"reading {where(self._config.url)} from {point.position}",
            extra=fields(
                "source.stream_opened",
                file=point.file,
                offset=point.offset,
                connector=self._connector,
                decoder=transactions.decoder_name,
            ),
        )
        return stream

    def files(self) -> Sequence[BinlogFile]:
        return self._server.files()

    def bytes_behind(self, position: FilePosition) -> int:
        behind = 0
        files = self._server.files()
        # A dump that runs while its source is reset hears nothing of it until the new file is as long as the old one was.
        last = max(files, key=lambda file: file_number(file.name), default=None)
        if last is not None and (file_number(last.name), last.size_bytes) < (
            file_number(position.file),
            position.offset,
        ):
            raise SourceChanged(
                f"{position} lies beyond the end of the source's binlog ({last.name}:{last.size_bytes}): "
                "the source was reset or restored",
                hint="if its data is what you mean, `cdc replay --from earliest` begins a new generation with it",
            )
        for file in self._joined.files(position.file):
            if file.name == position.file:
                behind += max(file.size_bytes - position.offset, 0)
            elif file_number(file.name) > file_number(position.file):
                behind += file.size_bytes
        return behind

    def bytes_between(self, begin: FilePosition, end: FilePosition) -> int:
        return bytes_between(self._joined.files(begin.file), begin, end)

    def seconds_until_purged(self, file: str) -> float | None:
        """A file may go when its last event, which is as old as the next file, is older than the expiry."""
        expiry = self._server.expiry_seconds()
        if expiry is None:
            return None
        names = [found.name for found in self._server.files()]
        if file not in names and any(file == found.name for found in self._joined.files(file)):
            # It is read from the archive; what must not go too soon is the first file that only the server has.
            file = names[0]
        if file not in names:
            raise PositionError(f"the source has no file {file} any more", hint="`cdc check` names its files")
        following = names[names.index(file) + 1 :]
        if not following:
            return None
        if following[0] not in self._created:
            self._created[following[0]] = self._scanner().head(following[0]).file_created
        return max(self._created[following[0]] + expiry - self._server.now_seconds(), 0.0)

    def tables(self) -> Sequence[TableSchema]:
        return captured_tables(self._server, TableFilter(self._config.tables))

    def generated_columns(self) -> frozenset[str]:
        return generated_columns(self._server, TableFilter(self._config.tables))

    def tables_with_further_unique_keys(self) -> Sequence[str]:
        return tables_with_further_unique_keys(self._server, TableFilter(self._config.tables))

    def chunk(self, wanted: Wanted, settled: SourcePoint | None = None) -> Chunk:
        return self._chunks.chunk(wanted, settled)

    def digest(self, db: str, table: str, after: Key | None, max_rows: int) -> Digested | None:
        return self._chunks.digest(db, table, after, max_rows)

    def bounds(self, db: str, table: str, parts: int, where: str = "") -> Sequence[Key]:
        """`where` changes nothing: to look at the rows that it leaves would be a scan."""
        return self._chunks.bounds(db, table, parts)

    def running_threads(self) -> int:
        return self._server.running_threads()

    def replica_lags(self) -> Sequence[ReplicaLag]:
        return self._replicas.lags()

    def estimated_rows(self, db: str, table: str) -> int:
        return self._chunks.estimated_rows(db, table)

    def unique_keys(self) -> Mapping[str, Sequence[frozenset[str]]]:
        return unique_keys(self._server, TableFilter(self._config.tables))

    def retention(self) -> Retention:
        return self._server.retention()

    def sizes(self) -> Mapping[str, TableSize]:
        return table_sizes(self._server, TableFilter(self._config.tables))

    def largest_packet(self) -> int:
        return int(self._server.variables("max_allowed_packet")["max_allowed_packet"])

    def check(self) -> Sequence[Finding]:
        return checks(self._config, self._server)

    def close(self) -> None:
        self._chunks.close()
        self._replicas.close()
        self._server.close()

    def _scanner(self) -> Scanner:
        return Scanner(self._config, self._server.product().flavor, self.identity(), self._joined.dump)

    def _starts(self) -> Starts:
        return Starts(self._server, self._joined, self._scanner(), self.identity())
