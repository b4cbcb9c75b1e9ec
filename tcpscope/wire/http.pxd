"""HTTP, and those that look like it: RTSP and SIP."""
from tcpscope.capture.frame cimport Frame
from tcpscope.wire.hints cimport Hint

cdef bint http_request(Frame *f, Hint *out) noexcept nogil
cdef bint http_response(Frame *f, Hint *out) noexcept nogil
cdef bint http2(Frame *f, Hint *out) noexcept nogil
