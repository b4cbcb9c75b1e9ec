# cython: wraparound=False
"""Which connection a segment belongs to, once the capture has been replayed."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from tcpscope.replay.store cimport Store
from tcpscope.wire.segment cimport Segment

cdef struct Span:                 # a connection: the segments of its flow from its first to its last
    uint64_t first_frame          # both are spots (wire/segment.pxd)
    uint64_t last_frame
    uint32_t number
    uint32_t later                # the flow's next connection among those asked for; 0: none
    uint8_t over
    uint8_t used                  # a segment of it was chosen

cdef struct Owned:                # a flow
    uint8_t addr[2][16]           # client's, server's of its first connection
    uint16_t port[2]
    uint8_t version
    uint32_t outer
    uint32_t hash
    uint32_t chain                # next flow in the slot, 0: none
    uint32_t first                # span that comes next; 0: none
    uint32_t last                 # its last span so far
    uint32_t now                  # span that began last; 0: none

cdef class Owners:
    cdef Store spans              # of Span; number 0 is not used
    cdef Store flows              # of Owned
    cdef uint32_t *slots
    cdef uint32_t mask, n_flows, n_spans
    cdef bint by_outer
    cdef readonly bint everything

    cdef Owned *flow(self, const Segment *s, uint32_t hash) noexcept nogil
    cdef Span *find(self, const Segment *s) noexcept nogil
    cdef int add_flow(self, const Segment *s, uint32_t hash) except -1
    cdef int grow(self) except -1
