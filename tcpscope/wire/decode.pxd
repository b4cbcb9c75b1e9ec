# cython: wraparound=False
"""A frame → at most one Segment."""
from libc.stdint cimport int32_t, uint16_t, uint64_t

from tcpscope.capture.container cimport Record
from tcpscope.wire.fragments cimport Datagram, Fragments
from tcpscope.wire.segment cimport Segment
from tcpscope.wire.walk cimport N_KINDS, Walk

cdef enum:
    MAX_LINK_COUNTS = 16
    ETHERNET = 1              # link type

cdef struct LinkCount:
    int32_t linktype
    uint64_t frames

cdef class Decoder:
    cdef uint64_t counts[N_KINDS]
    cdef uint64_t checksums[4]
    cdef uint64_t cut_frames              # captured shorter than on the wire
    cdef LinkCount unsupported[MAX_LINK_COUNTS]
    cdef Fragments fragments
    cdef uint16_t file
    cdef bint verify_checksums
    cdef int why_joined

    cdef bint frame(self, Record *r, Segment *s) noexcept nogil
    cdef bint walk(self, Walk *w, int layer, bint whole) noexcept nogil
    cdef bint joined(self, Datagram *d, Segment *s) noexcept nogil
    cdef bint segment_of(self, Walk *w, bint whole) noexcept nogil
    cdef int inside_ip(self, Walk *w) noexcept nogil
    cdef void add_usual(self, const uint64_t *states, uint64_t cut) noexcept nogil
    cdef void count(self, Walk *w, Segment *s, bint found) noexcept nogil
