"""A bounded reader over the bytes of one event: whatever they say, it never reads past their end."""

from cdc.model.errors import BinlogDamaged


def damaged(what: str) -> BinlogDamaged:
    """The one error for bytes that cannot be what a server wrote."""
    return BinlogDamaged(
        what,
        hint="compare with `mysqlbinlog --verify-binlog-checksum` on the source; if the file is sound, report this as a bug",
    )


class Cursor:
    """Reads from the front to the end; `what` names the event in errors. All integers are little-endian and unsigned."""

    __slots__ = ("_bytes", "position", "what")

    def __init__(self, body: bytes | memoryview, what: str, position: int = 0) -> None:
        self._bytes = body
        self.what = what
        self.position = position

    @property
    def remaining(self) -> int:
        return len(self._bytes) - self.position

    def take(self, length: int) -> bytes:
        """The next `length` bytes; raises BinlogDamaged where there are fewer."""
        start = self.position
        if length > len(self._bytes) - start:
            raise damaged(f"{self.what}: {length} bytes expected at byte {start}, {len(self._bytes) - start} left")
        self.position = start + length
        return bytes(self._bytes[start : self.position])

    def uint(self, length: int) -> int:
        return int.from_bytes(self.take(length), "little")

    def packed(self) -> int:
        """A length-encoded integer
        (https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_dt_integers.html)."""
        first = self.uint(1)
        if first < 251:
            return first
        if first == 252:
            return self.uint(2)
        if first == 253:
            return self.uint(3)
        if first == 254:
            return self.uint(8)
        raise damaged(f"{self.what}: {first} is no length-encoded integer, at byte {self.position - 1}")

    def packed_bytes(self) -> bytes:
        """A length-encoded integer and that many bytes."""
        return self.take(self.packed())

    def sub(self, length: int, what: str) -> "Cursor":
        """The next `length` bytes as a cursor of their own."""
        return Cursor(self.take(length), what)

    def name(self) -> str:
        """An identifier with its length before it and a NUL behind it, as table map events hold them."""
        raw = self.packed_bytes()
        if self.uint(1) != 0:
            raise damaged(f"{self.what}: a name does not end where it should, at byte {self.position - 1}")
        return self.text(raw)

    def text(self, raw: bytes) -> str:
        """Identifiers are utf8mb3 in every event."""
        try:
            return raw.decode()
        except UnicodeDecodeError as error:
            raise damaged(f"{self.what}: a name that is not UTF-8, before byte {self.position}") from error

    def packed_list(self) -> list[int]:
        """Length-encoded integers up to the end."""
        numbers = []
        while self.remaining:
            numbers.append(self.packed())
        return numbers
