"""Services that speak in lines of text."""
from tcpscope.capture.frame cimport Frame
from tcpscope.wire.hints cimport Hint

cdef bint ssh(Frame *f, Hint *out) noexcept nogil
