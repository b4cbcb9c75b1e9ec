"""Why a segment was sent again."""
from libc.stdint cimport int64_t, uint32_t, uint64_t

from tcpscope.replay.flight cimport Chunk, Flight
from tcpscope.wire.segment cimport Segment

cdef uint64_t cause(Flight *f, const Segment *s, const Chunk *c, uint32_t end, int64_t reach) noexcept nogil
