# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""Rows events straight to JSON, in C: the part of the compiled decoder that is not Python (compiled_decoder.py is its front).

It is one module so that the C compiler sees all of it at once; each part has a file of its own. Whatever the bytes are, nothing
is read outside them, and nothing written outside the buffers of EncodedRows. Everything may run without the GIL but what says
that it takes it.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING
from cpython.object cimport PyObject
from libc.math cimport fabsf
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdio cimport snprintf
from libc.stdlib cimport atoi, calloc, free, strtod
from libc.string cimport memcmp, memcpy, memmove

from cdc.model.encoded cimport EncodedRow, EncodedRows, Span
from cdc.model.numbers cimport count_digits, put_digits

from zlib import crc32

import orjson

from cdc.model.routing import folded

cdef extern from *:
    """
    #ifdef CDC_TIGHT_BUFFERS
    #define CDC_ROOM_AHEAD 0  /* .ci/sanitized: what is written without having asked for room is seen */
    #else
    #define CDC_ROOM_AHEAD 1
    #endif
    """
    const bint ROOM_AHEAD "CDC_ROOM_AHEAD"
    ctypedef unsigned long long uint128 "unsigned __int128"


include "compiled_buffer.pxi"
include "compiled_numbers.pxi"
include "compiled_floats.pxi"
include "compiled_times.pxi"
include "compiled_text.pxi"
include "compiled_json.pxi"
include "compiled_plan.pxi"
include "compiled_members.pxi"
include "compiled_values.pxi"
include "compiled_lane.pxi"
include "compiled_keys.pxi"
include "compiled_rows.pxi"


def float_text(double number):
    """As a DOUBLE column's value is written."""
    cdef uint8_t[48] text
    cdef uint64_t bits
    memcpy(&bits, &number, 8)
    if (bits >> 52 & 0x7FF) == 0x7FF:
        raise ValueError("neither the server nor JSON has such a number")
    return text[:put_float(text, bits >> 63, shortest(bits & 0x7FFFFFFFFFFFFFFFULL)) - text]
