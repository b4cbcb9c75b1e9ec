"""Services that speak in binary messages."""
from libc.stdint cimport uint8_t

from tcpscope.capture.frame cimport Frame
from tcpscope.wire.hints cimport Hint

cdef bint binary(Frame *f, uint8_t first, int peer, Hint *out) noexcept nogil
