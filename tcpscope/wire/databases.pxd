"""PostgreSQL, MySQL, MongoDB, Kafka."""
from tcpscope.capture.frame cimport Frame
from tcpscope.wire.hints cimport Hint

cdef bint postgresql(Frame *f, int peer, Hint *out) noexcept nogil
cdef bint mysql(Frame *f, Hint *out) noexcept nogil
cdef bint mongodb(Frame *f, Hint *out) noexcept nogil
cdef bint kafka(Frame *f, Hint *out) noexcept nogil
