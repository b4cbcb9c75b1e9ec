"""Of very many open connections, those that have been silent for longest are packed (resting.pyx)."""
from tcpscope.replay.connection cimport Connection, Flow
from tcpscope.replay.run cimport Replay
from tcpscope.wire.segment cimport Segment

cdef int crowd_join(Replay *r, Connection *c) noexcept nogil
cdef void crowd_leave(Replay *r, Connection *c) noexcept nogil
cdef bint crowd_keeps(const Flow *f, const Segment *s) noexcept nogil
