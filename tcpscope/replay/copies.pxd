"""Copies of packets that the capture holds already."""
from tcpscope.replay.flight cimport Finding, Flight
from tcpscope.wire.segment cimport Segment

cdef enum:
    SAME_CAPTURE_NS = 200_000    # two copies of one packet this close were captured twice, not sent twice
    COPY_WITHIN_NS = 200_000_000    # what comes later with the same IP ID may be a timer's: some hosts keep the ID
    NO_ID = 0x10000


cdef inline bint identified(const Segment *s) noexcept nogil:
    return s.ip_id != NO_ID and s.ip_id != 0


cdef void copy_remember(Flight *f, const Segment *s) noexcept nogil
cdef bint copy_seen(Flight *f, const Segment *s, bint expected, Finding *out) noexcept nogil
