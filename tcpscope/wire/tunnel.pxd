# cython: wraparound=False
"""Packets inside packets: GRE and the tunnels over UDP."""
from tcpscope.wire.walk cimport Walk

cdef int gre(Walk *w) noexcept nogil
cdef int udp(Walk *w) noexcept nogil
cdef int ether_in_ip(Walk *w) noexcept nogil
