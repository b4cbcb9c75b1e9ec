"""Sequence numbers live modulo 2**32 (RFC 9293, 3.4).  Only this file compares or subtracts them."""
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


cdef inline bint acceptable(uint32_t seq, uint32_t length, uint32_t rcv_nxt, uint32_t rcv_wnd) noexcept nogil:
    """RFC 9293, 3.10.7.4, table 6: length in sequence space."""
    if rcv_wnd == 0:
        return length == 0 and seq == rcv_nxt
    if length == 0:
        return within(seq, rcv_nxt, rcv_wnd)
    return within(seq, rcv_nxt, rcv_wnd) or within(seq + length - 1, rcv_nxt, rcv_wnd)
