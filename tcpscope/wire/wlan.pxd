# cython: wraparound=False
"""IEEE 802.11 and the headers capture programs put before it."""
from tcpscope.wire.walk cimport Walk

cdef int wlan(Walk *w) noexcept nogil
