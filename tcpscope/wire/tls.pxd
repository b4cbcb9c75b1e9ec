"""TLS: what the hellos say in clear."""
from tcpscope.capture.frame cimport Frame
from tcpscope.wire.hints cimport Hint

cdef bint tls(Frame *f, Hint *out) noexcept nogil
