"""tcpscope's own annotations of one segment."""
from libc.stdint cimport int64_t, uint32_t, uint64_t

from tcpscope.replay.connection cimport Connection
from tcpscope.replay.flight cimport Finding
from tcpscope.replay.wireshark cimport Marks as Shown
from tcpscope.wire.segment cimport Segment

cdef uint64_t annotate(Connection *c, const Segment *s, int d, bint copy, const Shown *shown, const Finding *f,
                       bint stepped_back) noexcept nogil
cdef void count_annotations(Connection *c, const Segment *s, int d, uint64_t own, uint32_t window) noexcept nogil
