"""One segment of a connection, shown to every observer in turn."""
from libc.stdint cimport int64_t, uint64_t

from tcpscope.replay.connection cimport Connection
from tcpscope.replay.run cimport Replay
from tcpscope.wire.segment cimport Segment

cdef bint closed(const Connection *c) noexcept nogil
cdef void begin(Connection *c, const Segment *s) noexcept nogil
cdef int observe(Replay *r, Connection *c, const Segment *s, int d, uint64_t order, bint stepped_back,
                 bint write) noexcept nogil
cdef int quote(Connection *c, const Segment *s, int d, uint64_t order) noexcept nogil
