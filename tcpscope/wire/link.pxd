# cython: wraparound=False
"""Link layers: from the first byte of a frame to the network layer."""
from tcpscope.wire.walk cimport Walk

cdef int link_layer(Walk *w) noexcept nogil
cdef int ethernet(Walk *w) noexcept nogil
cdef int ethertype_layer(Walk *w) noexcept nogil
cdef int llc(Walk *w) noexcept nogil
cdef int ppp(Walk *w) noexcept nogil
cdef int pppoe(Walk *w) noexcept nogil
cdef int mpls(Walk *w) noexcept nogil
cdef int frame_relay(Walk *w) noexcept nogil
