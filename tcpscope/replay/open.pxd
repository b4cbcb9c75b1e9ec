"""What can be asked of the connections that are still open."""
from libc.stdint cimport uint64_t

from tcpscope.replay.run cimport Replay
from tcpscope.replay.store cimport Store

cdef enum:                       # which open connections to choose, where not all are wanted
    BY_LATEST                    # the latest to have sent anything
    BY_BEGIN                     # the latest to begin
    BY_BYTES                     # most bytes sent
    BY_REPEATED                  # most sent again

cdef int announce_due(Replay *r) noexcept nogil
cdef int show_open(Replay *r, uint64_t most, int by, Store *connections, Store *evidence) noexcept nogil
