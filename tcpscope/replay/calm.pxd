"""A connection in which nothing is going on but data and acknowledgments."""
from tcpscope.replay.connection cimport Connection

cdef void calm_look(Connection *c) noexcept nogil
cdef int calm_end(Connection *c) noexcept nogil
