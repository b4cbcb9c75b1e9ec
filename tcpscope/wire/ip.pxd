# cython: wraparound=False
"""IPv4, IPv6 and the headers that may follow them."""
from tcpscope.wire.walk cimport Walk

cdef int ip(Walk *w) noexcept nogil
cdef int ipv4(Walk *w) noexcept nogil
cdef int ipv6(Walk *w) noexcept nogil
cdef int extension(Walk *w) noexcept nogil
