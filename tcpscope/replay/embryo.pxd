"""Flows of which few segments have been seen: kept as these segments, for a part of the memory and of the work."""
from libc.stdint cimport int64_t, uint64_t

from tcpscope.replay.connection cimport MORE, PAIR, Flow, Saved
from tcpscope.replay.pool cimport Pool
from tcpscope.wire.segment cimport Segment

cdef struct Segments:            # the memory of those that are kept
    Pool kept                    # connection.Kept
    Pool pieces                  # of MORE segments each

cdef void embryos_open(Segments *all) noexcept nogil
cdef void embryos_close(Segments *all) noexcept nogil
cdef bint embryo_may_begin(const Segment *s) noexcept nogil
cdef bint embryo_takes(const Flow *f, const Segment *s, int sender, bint prompt) noexcept nogil
cdef int embryo_keep(Segments *all, Flow *f, const Segment *s, int sender, uint64_t order,
                     bint stepped_back) noexcept nogil
cdef bint embryo_damaged(const Flow *f, const Segment *s, int sender) noexcept nogil
cdef bint embryo_begins(const Flow *f, const Segment *s, int sender) noexcept nogil
cdef bint embryo_may_be_closed(const Flow *f) noexcept nogil
cdef int64_t embryo_last_ns(const Flow *f) noexcept nogil
cdef void embryo_segment(const Flow *f, const Saved *k, Segment *s) noexcept nogil
cdef void embryo_free(Segments *all, Flow *f) noexcept nogil


cdef inline bint is_embryo(const Flow *f) noexcept nogil:
    """It has never been a connection."""
    return f.n_saved and f.packed == NULL


cdef inline Saved *saved_at(const Flow *f, int i) noexcept nogil:
    """The i-th of the segments that are kept of f."""
    return &f.kept.pair[i] if i < PAIR else &f.kept.pieces[(i - PAIR) // MORE][(i - PAIR) % MORE]
