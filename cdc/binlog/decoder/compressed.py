"""Values of MariaDB's COMPRESSED columns.

Format: sql/field_comp.cc, `compress_zlib`. The first byte is 0 where the value follows as it is; else its high four bits are 8
(zlib), the lowest three count the bytes of the original length, which follow, big-endian, and the bit between them says that the
rest is raw deflate, without zlib's own header. An empty value has no byte at all.
"""

import zlib

_METHOD, _ZLIB, _RAW, _LENGTH = 0xF0, 0x80, 0x08, 0x07
_MOST_TIMES_LARGER = 1032  # deflate cannot do better (zlib's FAQ, "maximum compression factor")


def inflated(stored: bytes, max_bytes: int) -> bytes:
    """The value of at most `max_bytes`. Raises ValueError where it is damaged; never allocates more than `stored` could hold."""
    if not stored:
        return b""
    head = stored[0]
    if not head:
        return stored[1:]
    count = head & _LENGTH
    if head & _METHOD != _ZLIB or len(stored) <= 1 + count:
        raise ValueError("a compressed value has an impossible header")
    length = int.from_bytes(stored[1 : 1 + count], "big")
    packed = stored[1 + count :]
    if length > max_bytes or length > _MOST_TIMES_LARGER * len(packed):
        raise ValueError(f"a compressed value says that it has {length} bytes")
    stream = zlib.decompressobj(-zlib.MAX_WBITS if head & _RAW else zlib.MAX_WBITS)
    try:
        value = stream.decompress(packed, length + 1)
    except zlib.error as error:
        raise ValueError(f"a compressed value is damaged ({error})") from error
    if len(value) != length or not stream.eof or stream.unused_data:
        raise ValueError(f"a compressed value is not of the {length} bytes that it says")
    return value
