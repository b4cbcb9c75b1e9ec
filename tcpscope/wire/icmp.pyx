# cython: wraparound=False, freethreading_compatible=True
"""ICMP (RFC 792) and ICMPv6 (RFC 4443): errors quote the packet they are about.

The quoted TCP header is evidence (unreachable, fragmentation needed), not a segment.
"""
from libc.stdint cimport uint8_t

from tcpscope.capture.frame cimport has
from tcpscope.wire.walk cimport K_ICMP, L_IPV4, L_IPV6, Walk, layer, stop

cdef enum:
    ANY_LENGTH = 1 << 20


cdef int icmp(Walk *w) noexcept nogil:
    cdef const uint8_t *p
    cdef bint error
    cdef bint v6 = w.proto == 58
    if w.quoted or not has(&w.frame, w.at, 8):
        return stop(w, K_ICMP)
    p = w.frame.data + w.at
    if v6:
        error = 1 <= p[0] <= 4
    else:
        error = p[0] == 3 or p[0] == 4 or p[0] == 5 or p[0] == 11 or p[0] == 12
    if not error or not has(&w.frame, w.at + 8, 1):
        return stop(w, K_ICMP)
    w.segment.icmp_type = p[0]
    w.segment.icmp_code = p[1]
    w.quoted = True
    w.end = w.at + 8 + ANY_LENGTH                 # the quoted packet was longer than its quote
    return layer(w, w.at + 8, L_IPV6 if v6 else L_IPV4)
