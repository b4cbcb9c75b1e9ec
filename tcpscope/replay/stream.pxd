# cython: wraparound=False
"""The byte streams of one connection, put together from its segments."""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint64_t

from tcpscope.replay.line cimport Item
from tcpscope.replay.outlet cimport Outlet
from tcpscope.wire.segment cimport Segment

cdef class Streams(Outlet):
    cdef uint8_t addr[2][16]
    cdef uint16_t port[2]
    cdef uint64_t order
    cdef Py_ssize_t most
    cdef bint finished
    cdef const Segment *now               # the segment at work

    cdef int side_of(self, const Segment *s) noexcept nogil
    cdef void one(self, int d, const Segment *s, const uint8_t *data, Py_ssize_t captured) noexcept nogil
    cdef void acknowledge(self, int d, const Segment *s) noexcept nogil
    cdef void leap(self, int d, int64_t pos) noexcept nogil
    cdef void insert(self, int d, int64_t pos, int64_t end, const uint8_t *data, int64_t captured) noexcept nogil
    cdef void hold(self, int d, int64_t pos, int64_t end, const uint8_t *data, int64_t captured) noexcept nogil
    cdef void behind(self, int d, int64_t pos, int64_t end, const uint8_t *data, int64_t captured) noexcept nogil
    cdef void deliver(self, int d, Item *it, const uint8_t *data, uint64_t order) noexcept nogil
    cdef void drain(self, int d, bint filled) noexcept nogil
    cdef void pass_over(self, int d, int64_t end, uint64_t order, Item *behind, uint8_t note) noexcept nogil
    cdef void give_up_hole(self) noexcept nogil
    cdef void conflict(self, int d, int64_t pos, const uint8_t *mine, const uint8_t *first, int64_t size, Item *of,
                       uint64_t order) noexcept nogil
    cdef void from_fragments(self, int d, const Segment *s, list parts)
    cdef void probed(self, int d, int64_t pos, const uint8_t *data, Py_ssize_t captured) noexcept nogil
    cdef void item(self, int d, int kind, int64_t pos, int64_t length, int64_t captured, Item *it) noexcept nogil
    cdef void drop_doubtful(self, int d, int64_t pos, int64_t end) noexcept nogil
    cdef void give_up(self, int d) noexcept nogil
