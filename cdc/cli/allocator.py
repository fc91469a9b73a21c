"""What the process' allocator does with memory that was given back."""

import ctypes
from typing import Final

# mallopt(3), malloc.h of glibc.
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8
_KEPT_BYTES: Final = 16 * 1024 * 1024


def keep_freed_memory() -> bool:
    """For a process that takes and frees blocks of megabytes for each batch; before its first thread.

    glibc gives such blocks back to the system and takes them anew, and the system clears page after page of them: more work than
    to make a batch's text. From here on up to 16 MB of them are kept, in one heap for all threads, so that it is that once and
    not for each lane. Larger blocks go back as before. Answers whether the allocator took it (musl and macOS have others).
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    settings = {_M_ARENA_MAX: 1, _M_MMAP_THRESHOLD: _KEPT_BYTES, _M_TRIM_THRESHOLD: _KEPT_BYTES}
    taken = [mallopt(name, value) == 1 for name, value in settings.items()]
    return all(taken)
