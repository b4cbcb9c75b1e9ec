"""DNS over TCP."""
from tcpscope.capture.frame cimport Frame
from tcpscope.wire.hints cimport Hint

cdef bint dns(Frame *f, Hint *out) noexcept nogil
