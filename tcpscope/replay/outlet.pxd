# cython: wraparound=False
"""In what order the two sides' streams come out."""
from libc.stdint cimport uint8_t, uint64_t

from tcpscope.replay.line cimport Chunk, Item, Line
from tcpscope.replay.store cimport Store

cdef class Outlet:
    cdef Line lines[2]                    # client's, server's
    cdef Store items
    cdef Store arena                      # the items' bytes
    cdef Py_ssize_t waiting               # bytes held or ready
    cdef bint merge                       # runs of data come as one item
    cdef bint failed                      # memory ran out
    cdef bint doubtful                    # what comes now has a wrong checksum

    cdef void emit(self, int d, Item *it, const uint8_t *data, uint64_t order) noexcept nogil
    cdef void out(self, Item *it, const uint8_t *data) noexcept nogil
    cdef void release(self) noexcept nogil
    cdef uint64_t barrier(self, int d) noexcept nogil
    cdef Chunk *chunk(self, const Item *it, const uint8_t *data, uint64_t order) noexcept nogil
    cdef void let_go(self, Chunk *c) noexcept nogil
