"""What `cdc check` finds out about `source.archives`, without reading the files through."""

from collections.abc import Iterator, Sequence

from cdc.binlog.archive.catalogue import ArchivedFile, following
from cdc.binlog.archive.event_file import EventFile
from cdc.binlog.archive.joined import Joined
from cdc.binlog.archive.origin import APART, is_copy
from cdc.binlog.scan import Scanner
from cdc.binlog.server import Server
from cdc.model.config import SourceConfig
from cdc.model.errors import CdcError
from cdc.model.finding import Finding

SUBJECT = "archives"
_MOST_FINDINGS = 5


def archives(config: SourceConfig, server: Server) -> Iterator[Finding]:
    """Readable, without holes, of this server, and as far as the server's first file. May raise CdcError."""
    joined = Joined(config, server)
    if not joined.catalogue:
        return
    listing = joined.catalogue.listing()
    if not listing.files:
        yield Finding("error", SUBJECT, f"{joined.catalogue} has no binlog files", "copy them there, uncompressed")
        return
    faults = [fault for file in listing.files for fault in _faults(file)]
    yield from faults[:_MOST_FINDINGS]
    holes = [
        file
        for file, other in zip(listing.files, listing.files[1:], strict=False)
        if following(file.name) != other.name
    ]
    yield from map(_hole, holes[-_MOST_FINDINGS:])
    yield _join(config, server, joined, listing.files[listing.files.index(holes[-1]) + 1 if holes else 0 :])


def _faults(file: ArchivedFile) -> Iterator[Finding]:
    try:
        EventFile(file.path).close()
    except CdcError as error:
        yield Finding("error", SUBJECT, error.message, error.hint)


def _hole(before: ArchivedFile) -> Finding:
    name = following(before.name)
    text = f"{name} is missing: positions in {before.name} and before cannot be read on from"
    return Finding("warning", SUBJECT, text, "bring it into the archive, uncompressed")


def _join(config: SourceConfig, server: Server, joined: Joined, run: Sequence[ArchivedFile]) -> Finding:
    """`run`: the last files without a hole between them."""
    scanner = Scanner(config, server.product().flavor, server.identity())
    served = {file.name for file in server.files()}
    first = server.files()[0].name
    text = f"{len(run)} files without a hole, {run[0].name} … {run[-1].name}; the source's first is {first}"
    try:
        joined.older_than(first)
        joined.require_way(run[0].name, scanner.head)
        for copy in [file for file in run if file.name in served][-1:]:
            if not is_copy(copy, scanner.head(copy.name)):
                return Finding("error", SUBJECT, f"{copy.path} is not the file that the source has by that name", APART)
    except CdcError as error:
        return Finding("error", SUBJECT, error.message, error.hint)
    return Finding("ok", SUBJECT, text)
