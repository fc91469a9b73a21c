"""The compiled CRC-32 is zlib's."""

import random
import zlib

import pytest

crc32 = pytest.importorskip("cdc.binlog.crc32", reason="the compiled parts are not built").crc32


@pytest.mark.parametrize("plain", [False, True])
def test_it_is_zlibs_for_all_sizes_and_places(plain: bool) -> None:
    data = random.Random(7).randbytes(9000)
    for size in [*range(400), 1023, 1024, 8000, 8191]:
        for start in (0, 1, 7):
            part = data[start : start + size]
            assert crc32(part, plain=plain) == zlib.crc32(part), (size, start)
