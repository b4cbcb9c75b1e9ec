"""What a segment is for its sender's flight: new, sent again, late, a probe, or a copy that nobody sent."""
from libc.stdint cimport int64_t, uint64_t

from tcpscope.replay.flight cimport Finding, Flight
from tcpscope.wire.segment cimport Segment

cdef bint flight_stray(Flight *f, const Segment *s) noexcept nogil
cdef int flight_sent(Flight *f, const Segment *s, uint64_t order, int64_t reach, Finding *out) noexcept nogil
