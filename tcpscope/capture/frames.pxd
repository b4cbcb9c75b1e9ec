# cython: wraparound=False
"""The records of a stream, one after the other, for those who want whole frames."""
from libc.stdint cimport uint8_t, uint64_t

from tcpscope.capture.container cimport Container, Record

cdef class FrameReader:
    cdef object stream
    cdef object memory
    cdef const uint8_t *data
    cdef Py_ssize_t start, filled, capacity
    cdef bint at_end
    cdef Container container

    cdef bint advance(self, Record *r) except -1
    cdef bint read_more(self) except -1

cdef struct Bits:
    uint8_t *data
    uint64_t size

cdef class FrameSet:
    cdef Bits *files
    cdef readonly Py_ssize_t n_files
    cdef readonly uint64_t count

    cdef bint put(self, Py_ssize_t file, uint64_t frame) noexcept nogil
    cdef bint holds(self, Py_ssize_t file, uint64_t frame) noexcept nogil
