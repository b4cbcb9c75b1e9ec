"""A connection that both ends have closed waits for 2 MSL to pass: packed, as hardly any is heard of again."""
from libc.stdint cimport int64_t, uint32_t, uint64_t

from tcpscope.replay.connection cimport Connection, Flow
from tcpscope.replay.run cimport Replay

cdef bint may_rest(const Connection *c) noexcept nogil
cdef int rest(Replay *r, Flow *f, bint tight) noexcept nogil
cdef Connection *wake(Replay *r, Flow *f) noexcept nogil
