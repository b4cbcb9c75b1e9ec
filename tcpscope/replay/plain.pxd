"""The usual segment of a connection in which nothing else is going on, at a fraction of the cost."""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from tcpscope.replay.connection cimport Connection
from tcpscope.wire.segment cimport Segment

cdef enum:                       # Connection.calm
    CALM = 1
    HOLE_OF_CLIENT = 2           # something that it sent was not captured before what came later
    HOLE_OF_SERVER = 4

cdef enum:                       # what a plain segment is
    ACKS = 0
    DATA = 1

cdef struct Plain:               # what is found of one
    uint64_t annotations
    uint64_t acked_frame
    int64_t rtt_ns               # of the latest segment that it acknowledges wholly; -1: none
    int64_t ack_rtt_ns           # of the one that ends where it acknowledges to; -1: none
    int64_t sample_ns            # ... if nothing of that was acknowledged before; -1: none
    int64_t since_ns             # since the sender's last data, of data
    uint32_t window              # scaled

cdef inline uint8_t plain_bit(int d, int what) noexcept nogil:
    """Of Connection.said."""
    return <uint8_t>(1 << (2 * d + what))


cdef inline uint8_t plain_bits(int d) noexcept nogil:
    return <uint8_t>(3 << (2 * d))


cdef int observe_plain(Connection *c, const Segment *s, int d, uint64_t order, Plain *found) noexcept nogil
cdef int pass_plain(Connection *c, const Segment *s, int d, uint64_t order) noexcept nogil
