# cython: wraparound=False, freethreading_compatible=True
"""IPv4 (RFC 791) and IPv6 (RFC 8200): addresses, lengths, fragments, extension headers.

The length that counts is the IP header's, never the captured one.  A total length
of 0 stands for "too long for the field" (segmentation offload, BIG TCP): then the
frame's length on the wire counts, or RFC 2675's jumbo option where there is one.
"""
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcpy, memset

from tcpscope.capture.frame cimport be16, be32, has
from tcpscope.wire.segment cimport NOTE_LENGTH_FROM_WIRE, Segment
from tcpscope.wire.walk cimport (
    K_CUT, K_ENCRYPTED, K_MALFORMED_IP, K_NOT_IP, L_FRAGMENT, L_IPV4, L_IPV6, L_PAYLOAD, Walk, end_at, layer, stop,
)

cdef enum:
    JUMBO_OPTION = 0xC2
    NO_IP_ID = 0x10000


cdef int ip(Walk *w) noexcept nogil:
    """Raw IP: the first nibble is the version."""
    if not has(&w.frame, w.at, 1):
        return stop(w, K_CUT)
    if w.frame.data[w.at] >> 4 == 4:
        return L_IPV4
    if w.frame.data[w.at] >> 4 == 6:
        return L_IPV6
    return stop(w, K_NOT_IP)


cdef int ipv4(Walk *w) noexcept nogil:
    cdef Py_ssize_t at = w.at, header, total
    cdef const uint8_t *p
    cdef Segment *s = w.segment
    cdef uint32_t fragment
    if not has(&w.frame, at, 20):
        return stop(w, K_CUT)
    p = w.frame.data + at
    header = (p[0] & 0x0F) * 4
    total = be16(p + 2)
    if p[0] >> 4 != 4 or header < 20 or w.end - at < header:
        return stop(w, K_MALFORMED_IP)
    if total == 0:
        w.notes |= NOTE_LENGTH_FROM_WIRE
    elif total < header:
        return stop(w, K_MALFORMED_IP)
    else:
        end_at(w, at + total)
    s.ip_version = 4
    s.tos = p[1]
    s.ttl = p[8]
    s.ip_id = be16(p + 4)
    memcpy(s.src, p + 12, 4)
    memcpy(s.dst, p + 16, 4)
    memset(s.src + 4, 0, 12)
    memset(s.dst + 4, 0, 12)
    w.proto = p[9]
    w.no_checksum = False
    fragment = be16(p + 6)
    if fragment & 0x3FFF:
        w.fragment_id = s.ip_id
        w.fragment_at = (fragment & 0x1FFF) * 8
        w.fragment_more = fragment & 0x2000 != 0
        return layer(w, at + header, L_FRAGMENT)
    return layer(w, at + header, L_PAYLOAD)


cdef int ipv6(Walk *w) noexcept nogil:
    cdef Py_ssize_t at = w.at, length
    cdef const uint8_t *p
    cdef Segment *s = w.segment
    if not has(&w.frame, at, 40):
        return stop(w, K_CUT)
    p = w.frame.data + at
    if p[0] >> 4 != 6:
        return stop(w, K_MALFORMED_IP)
    length = be16(p + 4)
    s.ip_version = 6
    s.tos = <uint8_t>(be16(p) >> 4 & 0xFF)
    s.ttl = p[7]
    s.ip_id = NO_IP_ID
    memcpy(s.src, p + 8, 16)
    memcpy(s.dst, p + 24, 16)
    w.proto = p[6]
    w.no_checksum = False
    if length:
        end_at(w, at + 40 + length)
    else:
        w.notes |= NOTE_LENGTH_FROM_WIRE
        jumbo(w, at + 40)
    return layer(w, at + 40, L_PAYLOAD)


cdef void jumbo(Walk *w, Py_ssize_t at) noexcept nogil:
    """RFC 2675: the true length in a hop-by-hop option, if that is there."""
    cdef Py_ssize_t option = at + 2, end
    cdef const uint8_t *data = w.frame.data
    if w.proto != P_HOP_BY_HOP or not has(&w.frame, at, 8):
        return
    end = at + (data[at + 1] + 1) * 8
    if end > w.frame.size:
        end = w.frame.size
    while option + 6 <= end:
        if data[option] == JUMBO_OPTION and data[option + 1] == 4:
            end_at(w, at + <Py_ssize_t>be32(data + option + 2))
            return
        option += 1 if data[option] == 0 else 2 + data[option + 1]


cdef int extension(Walk *w) noexcept nogil:
    """One extension header, the number of which is in w.proto."""
    cdef Py_ssize_t at = w.at, length
    cdef const uint8_t *p
    if w.proto == P_ENCRYPTED:
        return stop(w, K_ENCRYPTED)
    if not has(&w.frame, at, 8):
        return stop(w, K_CUT)
    p = w.frame.data + at
    if w.proto == P_FRAGMENT:
        w.proto = p[0]
        w.segment.ip_id = NO_IP_ID
        if be16(p + 2) & 0xFFF9:
            w.fragment_id = be32(p + 4)
            w.fragment_at = be16(p + 2) & 0xFFF8
            w.fragment_more = p[3] & 1
            return layer(w, at + 8, L_FRAGMENT)
        return layer(w, at + 8, L_PAYLOAD)
    if w.proto == P_AUTHENTICATION:
        length = (p[1] + 2) * 4
    else:
        length = (p[1] + 1) * 8
    if w.proto == P_ROUTING and p[3]:                       # the checksum covers the final destination, not this one
        w.no_checksum = True
    if length > w.end - at:
        return stop(w, K_MALFORMED_IP)
    w.proto = p[0]
    return layer(w, at + length, L_PAYLOAD)
