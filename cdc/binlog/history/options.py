"""Options of a table and of a database, as far as they matter: the default charset and collation."""

from typing import NamedTuple

from cdc.binlog.history.definitions import read_charset
from cdc.binlog.history.tokens import NAME, WORD, Reader


class Charset(NamedTuple):
    """`converts`: CONVERT TO, of the columns that there are as well."""

    charset: str | None
    collation: str | None
    converts: bool = False


# What may stand without `=`; with it, any name may: engines have options of their own.
_TEXT = """
ENGINE TYPE AUTO_INCREMENT AVG_ROW_LENGTH CHECKSUM TABLE_CHECKSUM COMMENT COMPRESSION CONNECTION DIRECTORY
DELAY_KEY_WRITE ENCRYPTION ENGINE_ATTRIBUTE SECONDARY_ENGINE_ATTRIBUTE INSERT_METHOD KEY_BLOCK_SIZE MAX_ROWS
MIN_ROWS PACK_KEYS PAGE_CHECKSUM PASSWORD ROW_FORMAT SECONDARY_ENGINE AUTOEXTEND_SIZE STATS_AUTO_RECALC
STATS_PERSISTENT STATS_SAMPLE_PAGES TABLESPACE STORAGE TRANSACTIONAL UNION SEQUENCE ALGORITHM LOCK WAIT
"""
_OPTIONS = frozenset(_TEXT.split())
DATABASE_OPTIONS = frozenset(("DEFAULT", "CHARACTER", "CHARSET", "COLLATE", "ENCRYPTION", "READ", "COMMENT", "UPGRADE"))


def read_options(reader: Reader) -> list[Charset]:
    """Passes the table's options, with or without commas between them; a SELECT, or what else comes, stays."""
    found: list[Charset] = []
    while not reader.ended and reader.peek() != ";":
        if reader.skip(",") or reader.skip("NOWAIT") or reader.skip("START", "TRANSACTION"):
            continue
        if reader.skip("WITH", "SYSTEM", "VERSIONING") or reader.skip("WITHOUT", "SYSTEM", "VERSIONING"):
            continue
        if reader.peek() == "PARTITION":
            _pass_partitions(reader)
            continue
        reader.skip("DEFAULT")
        if charset := read_charset(reader):
            found.append(Charset(charset, None))
        elif reader.skip("COLLATE"):
            reader.skip("=")
            found.append(Charset(None, reader.take().text))
        elif not _is_option(reader):
            return found
    return _merged(found)


def _merged(found: list[Charset]) -> list[Charset]:
    """CHARACTER SET and COLLATE of one statement belong together."""
    if len(found) < 2:
        return found
    charsets = [each.charset for each in found if each.charset]
    collations = [each.collation for each in found if each.collation]
    return [Charset(charsets[-1] if charsets else None, collations[-1] if collations else None)]


def _is_option(reader: Reader) -> bool:
    reader.skip_any("DATA", "INDEX")
    if reader.kind() not in {WORD, NAME}:
        return False
    known, assigned = reader.peek() in _OPTIONS, reader.peek(1) == "="
    if not (known or assigned):
        return False
    reader.take()
    reader.skip("=")
    if reader.peek() == "(":
        reader.group()
    else:
        reader.take()
    return True


def _pass_partitions(reader: Reader) -> None:
    while not reader.ended and reader.peek() not in {"SELECT", "AS", "IGNORE", "REPLACE", ";"}:
        if reader.peek() == "(":
            reader.group()
        else:
            reader.take()


def read_database_options(reader: Reader) -> Charset:
    charset, collation = None, None
    while not reader.ended:
        reader.skip("DEFAULT")
        if found := read_charset(reader):
            charset = found
        elif reader.skip("COLLATE"):
            reader.skip("=")
            collation = reader.take().text
        else:
            reader.take()
    return Charset(charset, collation)
