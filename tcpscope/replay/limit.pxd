"""No more open connections than the caller allows."""
from libc.stdint cimport uint32_t, uint64_t

from tcpscope.replay.run cimport Replay

cdef int make_room(Replay *r) noexcept nogil
