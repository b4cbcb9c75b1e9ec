# cython: wraparound=False, freethreading_compatible=True
"""The TCP header (RFC 9293, 3.1) and its options, into a Segment.

Lengths come from the IP header.  What the capture cuts off is marked (OPT_CUT),
what is wrong is marked (OPT_MALFORMED, NOTE_BOGUS_OFFSET); neither stops anything.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from tcpscope.wire.checksum cimport add_bytes, fold, native
from tcpscope.capture.frame cimport be16, be32, has
from tcpscope.wire.segment cimport (
    NOTE_BOGUS_OFFSET, NOTE_CUT_HEADER, OPT_ACCECN, OPT_AO, OPT_CUT, OPT_FAST_OPEN,
    OPT_MALFORMED, OPT_MD5, OPT_MPTCP, OPT_MSS, OPT_OTHER, OPT_SACK, OPT_SACK_PERMITTED, OPT_TIMESTAMPS, OPT_UTO,
    OPT_WSCALE, SUM_BAD, SUM_GOOD, SUM_PARTIAL, Segment,
)
from tcpscope.wire.walk cimport K_CUT, K_MALFORMED_TCP, K_SHORT_TCP, Walk


cdef bint tcp(Walk *w, Py_ssize_t end, bint whole) noexcept nogil:
    """Read the header at w.at of a segment that ends at `end` on the wire.  False, with w.why: no segment.

    `whole` is false where the payload is not all in this frame (a fragment, a quote).
    """
    cdef Segment *s = w.segment
    cdef Py_ssize_t at = w.at, size = end - w.at, header
    cdef const uint8_t *p
    if not has(&w.frame, at, 20):
        if w.quoted and has(&w.frame, at, 8):
            quoted_start(s, w.frame.data + at)
            s.notes = w.notes | NOTE_CUT_HEADER
            return True
        w.why = K_MALFORMED_TCP if size < 20 else K_CUT if w.frame.size <= at else K_SHORT_TCP
        return False
    p = w.frame.data + at
    header = (p[12] >> 4) * 4
    s.sport = be16(p)
    s.dport = be16(p + 2)
    s.seq = be32(p + 4)
    s.ack = be32(p + 8)
    s.flags = be16(p + 12) & 0x0FFF
    s.window = be16(p + 14)
    s.checksum = be16(p + 16)
    s.urgent = be16(p + 18)
    s.header_length = <uint8_t>header
    s.outer = w.outer
    s.notes = w.notes
    if header < 20:
        s.notes |= NOTE_BOGUS_OFFSET
    elif header > size and not w.quoted:
        w.why = K_MALFORMED_TCP
        return False
    s.length = <uint32_t>(size - header) if size > header else 0
    if at + header < w.frame.size:
        s.captured = <uint32_t>min(w.frame.size - at - header, <Py_ssize_t>s.length)
    s.payload_at += at + header
    if header > 20:
        if at + header > w.frame.size:
            s.options |= OPT_CUT
            header = w.frame.size - at
        options(s, p + 20, header - 20)
    if whole and not w.no_checksum and at + size <= w.frame.size:
        s.checksum_state = checksum(s, p, size)
    return True


cdef void quoted_start(Segment *s, const uint8_t *p) noexcept nogil:
    """RFC 792 quotes 8 bytes: ports and sequence number."""
    s.sport = be16(p)
    s.dport = be16(p + 2)
    s.seq = be32(p + 4)
    s.length = 0


cdef int checksum(Segment *s, const uint8_t *p, Py_ssize_t size) noexcept nogil:
    """Good, bad, or just the pseudo-header's sum: what a stack leaves to the network card."""
    cdef uint64_t addresses
    cdef uint32_t swapped, bare
    cdef uint16_t field
    cdef int address_bytes = 4 if s.ip_version == 4 else 16
    addresses = add_bytes(s.src, address_bytes) + add_bytes(s.dst, address_bytes)
    swapped = native(6) + native(<uint32_t>size & 0xFFFF) + native(<uint32_t>size >> 16)
    if fold(addresses + swapped + add_bytes(p, size)) == 0xFFFF:
        return SUM_GOOD
    field = <uint16_t>native(s.checksum)
    bare = native(6)
    if field == fold(addresses + swapped) or field == fold(addresses + bare):
        return SUM_PARTIAL
    return SUM_BAD


cdef void any_options(Segment *s, const uint8_t *p, Py_ssize_t size) noexcept nogil:
    """One walk."""
    cdef Py_ssize_t at = 0
    cdef int kind, length
    while at < size:
        kind = p[at]
        if kind == 0:
            return
        if kind == 1:
            at += 1
            continue
        if at + 1 >= size:
            s.options |= 0 if s.options & OPT_CUT else OPT_MALFORMED
            return
        length = p[at + 1]
        if length < 2:
            s.options |= OPT_MALFORMED
            return
        if length > size - at:
            s.options |= 0 if s.options & OPT_CUT else OPT_MALFORMED
            return
        if not option(s, kind, p + at + 2, length - 2):
            s.options |= OPT_MALFORMED
        at += length


cdef bint option(Segment *s, int kind, const uint8_t *p, int n) noexcept nogil:
    """One option with n bytes of value.  False: not the length its RFC gives it."""
    cdef int i
    if kind == 8:                                         # RFC 7323
        if n != 8:
            return False
        s.options |= OPT_TIMESTAMPS
        s.ts_val = be32(p)
        s.ts_ecr = be32(p + 4)
    elif kind == 5:                                       # RFC 2018
        if n < 8 or n % 8:
            return False
        s.options |= OPT_SACK
        s.n_sack = <uint8_t>min(n // 8, 4)
        for i in range(2 * s.n_sack):
            s.sack[i] = be32(p + 4 * i)
    elif kind == 2:                                       # RFC 9293
        if n != 2:
            return False
        s.options |= OPT_MSS
        s.mss = be16(p)
    elif kind == 3:                                       # RFC 7323
        if n != 1:
            return False
        s.options |= OPT_WSCALE
        s.window_scale = p[0]
    elif kind == 4:                                       # RFC 2018
        if n != 0:
            return False
        s.options |= OPT_SACK_PERMITTED
    elif kind == 34:                                      # RFC 7413
        s.options |= OPT_FAST_OPEN
        s.cookie_length = <uint8_t>n
    elif kind == 30:                                      # RFC 8684
        s.options |= OPT_MPTCP
    elif kind == 19:                                      # RFC 2385
        s.options |= OPT_MD5
        return n == 16
    elif kind == 29:                                      # RFC 5925
        s.options |= OPT_AO
        return n >= 2
    elif kind == 28:                                      # RFC 5482
        s.options |= OPT_UTO
        return n == 2
    elif kind == 172 or kind == 174:
        s.options |= OPT_ACCECN
    elif (kind == 253 or kind == 254) and n >= 2 and be16(p) == 0xF989:
        s.options |= OPT_FAST_OPEN                        # RFC 7413, appendix A
        s.cookie_length = <uint8_t>(n - 2)
    elif (kind == 253 or kind == 254) and n >= 2 and (be16(p) == 0xACCE or be16(p) == 0xACC0 or be16(p) == 0xACC1):
        s.options |= OPT_ACCECN
    else:
        s.options |= OPT_OTHER
    return True
