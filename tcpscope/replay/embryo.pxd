"""Flows of which nothing but SYNs and SYN-ACKs has been seen: kept as these segments, for a tenth of the memory."""
from libc.stdint cimport uint64_t

from tcpscope.replay.connection cimport Flow, Saved
from tcpscope.wire.segment cimport Segment

cdef bint embryo_may_begin(const Segment *s) noexcept nogil
cdef bint embryo_takes(const Flow *f, const Segment *s, int sender) noexcept nogil
cdef int embryo_keep(Flow *f, const Segment *s, int sender, uint64_t order, bint stepped_back) noexcept nogil
cdef void embryo_segment(const Flow *f, const Saved *k, Segment *s) noexcept nogil
cdef void embryo_free(Flow *f) noexcept nogil
