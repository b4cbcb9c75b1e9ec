"""From a flow's kept segments to a connection, and the end of those that have closed."""
from libc.stdint cimport uint64_t

from tcpscope.replay.connection cimport Connection, Flow
from tcpscope.replay.run cimport Replay
from tcpscope.wire.segment cimport Segment

cdef Connection *give_body(Replay *r, Flow *f, const Segment *first) noexcept nogil
cdef Connection *grow_up(Replay *r, Flow *f) noexcept nogil
cdef Connection *connection_of(Replay *r, Flow *f) noexcept nogil
cdef int stay_embryo(Replay *r, Flow *f, const Segment *s, int d, uint64_t order, bint stepped_back) noexcept nogil
cdef int end_flow(Replay *r, Flow *f) noexcept nogil
cdef int retire_flow(Replay *r, Flow *f) noexcept nogil
cdef int retire(Replay *r) noexcept nogil
