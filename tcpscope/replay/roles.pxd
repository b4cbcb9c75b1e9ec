"""Which side of a connection is the client, told from its first segment."""
from tcpscope.wire.segment cimport Segment

cdef bint zeek_flips(const Segment *s) noexcept nogil
cdef bint ports_differ(const Segment *s) noexcept nogil
cdef int role_of_first(const Segment *s) noexcept nogil
