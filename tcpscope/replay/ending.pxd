"""When a connection is over: its records, and its memory given back."""
from libc.stdint cimport int64_t

from tcpscope.replay.connection cimport Connection, Flow
from tcpscope.replay.evidence cimport Proof
from tcpscope.replay.run cimport Replay
from tcpscope.replay.store cimport Store
from tcpscope.replay.summary cimport Told

cdef int write_evidence(Store *evidence, const Connection *c, const Proof *proof) noexcept nogil
cdef int end(Replay *r, Connection *c, int64_t now) noexcept nogil
cdef void shed_body(Replay *r, Flow *flow) noexcept nogil
cdef void release(Replay *r, Connection *c) noexcept nogil
cdef int remember_past(Replay *r, const Connection *c, const Told *told) noexcept nogil
cdef int64_t last_ns(const Flow *f) noexcept nogil
cdef void linger(Replay *r, Flow *f) noexcept nogil
cdef void unlink(Replay *r, Flow *f) noexcept nogil
cdef bint overdue(const Replay *r, const Flow *f) noexcept nogil
