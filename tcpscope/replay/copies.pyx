# cython: wraparound=False, freethreading_compatible=True
"""Whether this very packet was captured before: by a mirror port, on a second interface, or copied by the network."""
from libc.stdint cimport uint32_t

from tcpscope.replay.annotations cimport A_DUPLICATE_CAPTURE, A_NETWORK_DUPLICATE, bit
from tcpscope.replay.flight cimport Finding, Flight, Glimpse
from tcpscope.wire.segment cimport FIN, SUM_GOOD, SYN, Segment

cdef enum:
    MS = 1_000_000


cdef bint copy_seen(Flight *f, const Segment *s, bint expected, Finding *out) noexcept nogil:
    """Whether this very packet was captured before; if not, it is remembered.

    expected: the connection has shown copies already.  Without an IP ID, two equal pure
    acknowledgments or RSTs are taken for copies of one only then: a host may well send the same twice.
    """
    cdef Glimpse *g
    cdef uint32_t key = glimpse_key(s)
    cdef int i
    cdef bint here
    for i in range(4):
        g = &f.seen[i]
        if g.key != key or g.id_and_ttl == 0 or g.id_and_ttl >> 8 != s.ip_id:
            continue
        if g.is_good and s.checksum_state == SUM_GOOD and g.checksum != s.checksum:
            continue                     # other options, or another payload
        if s.time_ns - g.time_ns > (COPY_WITHIN_NS if identified(s) else MS):
            continue
        if not identified(s) and not expected and s.length == 0 and not s.flags & (SYN | FIN):
            continue
        here = s.time_ns - g.time_ns < SAME_CAPTURE_NS or s.ttl != g.id_and_ttl & 0xFF
        out.annotations |= bit(A_DUPLICATE_CAPTURE if here else A_NETWORK_DUPLICATE)
        return True
    glimpse(f, s, key)
    return False
