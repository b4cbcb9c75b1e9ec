"""Sequence numbers live modulo 2**32 (RFC 9293, 3.4): which comes first is decided here.

How far one lies behind another is their difference as uint32_t, here and elsewhere.
"""
from libc.stdint cimport int32_t, int64_t, uint32_t


cdef inline int32_t distance(uint32_t start, uint32_t end) noexcept nogil:
    """From start forward to end; negative where end lies behind."""
    return <int32_t>(end - start)


cdef inline int64_t place(int64_t near, uint32_t seq) noexcept nogil:
    """`seq` as a position that does not wrap: the one closest to the position `near`."""
    return near + distance(<uint32_t>near, seq)


cdef inline bint before(uint32_t a, uint32_t b) noexcept nogil:
    return distance(a, b) > 0


cdef inline bint after(uint32_t a, uint32_t b) noexcept nogil:
    return distance(a, b) < 0


cdef inline bint within(uint32_t x, uint32_t start, uint32_t size) noexcept nogil:
    return x - start < size
