"""Flows of which few segments have been seen: kept as these segments, for a part of the memory and of the work."""
from libc.stdint cimport int64_t, uint64_t

from tcpscope.replay.connection cimport Flow, Saved
from tcpscope.replay.pool cimport Pool
from tcpscope.wire.segment cimport Segment

cdef enum:
    ROOMS = 4                    # pools for segments: of 2, 7, 12 and 16

cdef void embryos_open(Pool *pools) noexcept nogil
cdef void embryos_close(Pool *pools) noexcept nogil
cdef bint embryo_may_begin(const Segment *s) noexcept nogil
cdef bint embryo_takes(const Flow *f, const Segment *s, int sender, bint prompt) noexcept nogil
cdef int embryo_keep(Pool *pools, Flow *f, const Segment *s, int sender, uint64_t order,
                     bint stepped_back) noexcept nogil
cdef bint embryo_damaged(const Flow *f, const Segment *s, int sender) noexcept nogil
cdef bint embryo_begins(const Flow *f, const Segment *s, int sender) noexcept nogil
cdef bint embryo_may_be_closed(const Flow *f) noexcept nogil
cdef int64_t embryo_last_ns(const Flow *f) noexcept nogil
cdef void embryo_segment(const Flow *f, const Saved *k, Segment *s) noexcept nogil
cdef void embryo_free(Pool *pools, Flow *f) noexcept nogil
