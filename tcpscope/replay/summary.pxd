"""A connection's record: where it was captured, how it opened and closed, and its statistics."""
from libc.stdint cimport int64_t, uint8_t

from tcpscope.replay.connection cimport Connection
from tcpscope.replay.lifecycle cimport Life
from tcpscope.replay.rows cimport ConnectionRow

cdef struct Told:                # the states of both ends
    Life lives[2]
    uint8_t initial[2]
    uint8_t point                # layout.CAPTURE_POINTS

cdef void tell(const Connection *c, int64_t now, int64_t msl, Told *out) noexcept nogil
cdef void summarize(Connection *c, const Told *told, int64_t now, int64_t msl, ConnectionRow *row) noexcept nogil
