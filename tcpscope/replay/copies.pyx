# cython: wraparound=False, freethreading_compatible=True
"""Whether this very packet was captured before: by a mirror port, on a second interface, or copied by the network."""
from libc.stdint cimport uint32_t, uint64_t

from tcpscope.replay.annotations cimport A_DUPLICATE_CAPTURE, A_NETWORK_DUPLICATE, bit
from tcpscope.replay.flight cimport Finding, Flight, Glimpse
from tcpscope.wire.segment cimport FIN, SYN, Segment

cdef enum:
    MS = 1_000_000


cdef inline uint32_t glimpse_key(const Segment *s) noexcept nogil:
    cdef uint64_t key = (<uint64_t>s.seq << 32 | s.ack) * <uint64_t>0x9E3779B97F4A7C15
    key ^= (<uint64_t>s.ts_val << 32) ^ (<uint64_t>s.checksum << 16) ^ s.window
    key = (key ^ key >> 29) * <uint64_t>0xBF58476D1CE4E5B9
    key += <uint64_t>s.length << 20 ^ <uint64_t>s.flags << 8
    return <uint32_t>(key * <uint64_t>0x94D049BB133111EB >> 32)


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
        if s.time_ns - g.time_ns > (COPY_WITHIN_NS if identified(s) else MS):
            continue
        if not identified(s) and not expected and s.length == 0 and not s.flags & (SYN | FIN):
            continue
        here = s.time_ns - g.time_ns < SAME_CAPTURE_NS or s.ttl != g.id_and_ttl & 0xFF
        out.annotations |= bit(A_DUPLICATE_CAPTURE if here else A_NETWORK_DUPLICATE)
        return True
    remember(f, s, key)
    return False


cdef void copy_remember(Flight *f, const Segment *s) noexcept nogil:
    """`copy_seen` of a segment that cannot be a copy."""
    remember(f, s, glimpse_key(s))


cdef inline void remember(Flight *f, const Segment *s, uint32_t key) noexcept nogil:
    cdef Glimpse *g = &f.seen[f.seen_at & 3]
    f.seen_at += 1
    g.time_ns, g.key, g.id_and_ttl = s.time_ns, key, s.ip_id << 8 | s.ttl
