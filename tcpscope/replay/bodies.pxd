"""The memory of connections."""
from tcpscope.replay.connection cimport Connection
from tcpscope.replay.pool cimport Pool

cdef void bodies_open(Pool *p) noexcept nogil
cdef Connection *bodies_take(Pool *p) noexcept nogil
cdef void bodies_give(Pool *p, Connection *c) noexcept nogil
cdef void bodies_close(Pool *p) noexcept nogil
