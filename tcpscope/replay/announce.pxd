"""What has been told of an open connection's states, so that only what is new is told, or taken back."""
from tcpscope.replay.connection cimport Connection, Flow
from tcpscope.replay.lifecycle cimport Step
from tcpscope.replay.run cimport Replay
from tcpscope.replay.summary cimport Told

cdef int touch(Replay *r, Flow *f) noexcept nogil
cdef int announce(Replay *r, Connection *c, const Told *told) noexcept nogil
cdef int write_step(Replay *r, const Connection *c, int side, const Step *step) noexcept nogil
cdef void forget(Replay *r, Flow *f) noexcept nogil
