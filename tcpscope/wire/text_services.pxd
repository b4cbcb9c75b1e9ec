"""Services that speak in lines of text."""
from libc.stdint cimport uint8_t

from tcpscope.capture.frame cimport Frame
from tcpscope.wire.hints cimport Hint

cdef bint ssh(Frame *f, Hint *out) noexcept nogil
cdef bint lines(Frame *f, uint8_t first, int peer, Hint *out) noexcept nogil
