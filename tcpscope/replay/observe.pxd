"""One segment of a connection, shown to every observer in turn."""
from libc.stdint cimport int64_t, uint64_t

from tcpscope.replay.connection cimport Connection
from tcpscope.replay.plain cimport pass_plain
from tcpscope.replay.run cimport Replay
from tcpscope.wire.segment cimport Segment

cdef bint closed(const Connection *c) noexcept nogil
cdef void begin(Connection *c, const Segment *s) noexcept nogil
cdef int observe_fully(Replay *r, Connection *c, const Segment *s, int d, uint64_t order, bint stepped_back,
                       bint write) noexcept nogil
cdef int quote(Connection *c, const Segment *s, int d, uint64_t order) noexcept nogil


cdef inline int observe(Replay *r, Connection *c, const Segment *s, int d, uint64_t order, bint stepped_back,
                        bint write) noexcept nogil:
    """Replay one segment of c, sent by side d; -1 when memory runs out.

    stepped_back: the capture's clock had gone back.  write: make a packet record.
    """
    cdef int done
    if c.calm and not stepped_back and not write:
        done = pass_plain(c, s, d, order)
        if done:
            return min(done, 0)
    return observe_fully(r, c, s, d, order, stepped_back, write)
