"""The usual segment of a connection in which nothing else is going on, at a fraction of the cost."""
from libc.stdint cimport uint64_t

from tcpscope.replay.connection cimport Connection
from tcpscope.replay.flight cimport Finding
from tcpscope.replay.wireshark cimport Marks
from tcpscope.wire.segment cimport Segment

cdef bint is_calm(const Connection *c) noexcept nogil
cdef int pass_plain(Connection *c, const Segment *s, int d, uint64_t order) noexcept nogil
cdef int observe_plain(Connection *c, const Segment *s, int d, uint64_t order, bint numbers, Marks *shown,
                       Finding *f) noexcept nogil
