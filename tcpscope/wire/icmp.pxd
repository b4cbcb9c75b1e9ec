# cython: wraparound=False
"""ICMP errors and the packets they quote."""
from tcpscope.wire.walk cimport Walk

cdef int icmp(Walk *w) noexcept nogil
