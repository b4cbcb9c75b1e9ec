"""tcpscope's own annotations of one segment."""
from libc.stdint cimport int64_t, uint32_t, uint64_t

from tcpscope.replay.connection cimport Connection
from tcpscope.replay.flight cimport Finding
from tcpscope.replay.wireshark cimport Marks as Shown
from tcpscope.wire.segment cimport ACK, RST, Segment

cdef enum:
    NEAR = 1 << 20               # bytes that may be under way: an older acknowledgment may be the one

cdef uint64_t annotate(Connection *c, const Segment *s, int d, bint copy, const Shown *shown, const Finding *f,
                       bint stepped_back) noexcept nogil
cdef void count_annotations(Connection *c, const Segment *s, int d, uint64_t own, uint32_t window,
                            bint seen) noexcept nogil


cdef inline bint is_without_socket(const Connection *c, const Segment *s, int d) noexcept nogil:
    """RFC 9293, 3.10.7.1: a RST without ACK has the number that the segment acknowledges which it answers."""
    cdef uint32_t told = c.wireshark.side[1 - d].last_ack
    return s.flags & (RST | ACK) == RST and told - s.seq < NEAR
