# cython: wraparound=False
"""The TCP header."""
from libc.stdint cimport uint8_t

from tcpscope.capture.frame cimport be32
from tcpscope.wire.segment cimport OPT_TIMESTAMPS, Segment
from tcpscope.wire.walk cimport Walk

cdef enum:
    NOP_NOP_TIMESTAMPS = 0x0101080A       # all that most segments carry (RFC 7323, appendix A)


cdef bint tcp(Walk *w, Py_ssize_t end, bint whole) noexcept nogil
cdef int checksum(Segment *s, const uint8_t *p, Py_ssize_t size) noexcept nogil
cdef void any_options(Segment *s, const uint8_t *p, Py_ssize_t size) noexcept nogil


cdef inline void options(Segment *s, const uint8_t *p, Py_ssize_t size) noexcept nogil:
    """RFC 9293, 3.2: everything that `size` bytes of options say, into the Segment."""
    if size == 12 and be32(p) == NOP_NOP_TIMESTAMPS:
        s.options |= OPT_TIMESTAMPS
        s.ts_val = be32(p + 4)
        s.ts_ecr = be32(p + 8)
    else:
        any_options(s, p, size)
