"""What a SYN on the ports of an earlier connection means for that one."""
from libc.stdint cimport uint8_t

from tcpscope.replay.connection cimport Connection
from tcpscope.wire.segment cimport Segment

cdef uint8_t reuse_of(const Connection *c, const Segment *s, int d) noexcept nogil
