# cython: wraparound=False
"""The TCP header."""
from tcpscope.wire.walk cimport Walk

cdef bint tcp(Walk *w, Py_ssize_t end, bint whole) noexcept nogil
