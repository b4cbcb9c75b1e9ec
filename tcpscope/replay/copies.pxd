"""Copies of packets that the capture holds already."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from tcpscope.replay.flight cimport Finding, Flight, Glimpse
from tcpscope.wire.segment cimport SUM_GOOD, Segment

cdef enum:
    SAME_CAPTURE_NS = 200_000    # two copies of one packet this close were captured twice, not sent twice
    COPY_WITHIN_NS = 200_000_000    # what comes later with the same IP ID may be a timer's: some hosts keep the ID
    ELSEWHERE_NS = 2_000_000_000    # ... but that of another place, behind a long queue, may come as late as this
    NO_ID = 0x10000


cdef inline bint identified(const Segment *s) noexcept nogil:
    return s.ip_id != NO_ID and s.ip_id != 0


cdef inline uint32_t glimpse_key(const Segment *s) noexcept nogil:
    """Different packets have different keys, but for one in 2**31: multiply-add hashing, by any odd numbers.

    Not the checksum of one that its ID tells: on its way in it may still lack what the network card adds.
    """
    cdef uint64_t key = (<uint64_t>s.seq << 32 | s.ack) * <uint64_t>0x9E3779B97F4A7C15
    cdef uint32_t identity = s.ip_id if identified(s) else <uint32_t>s.checksum
    key += (<uint64_t>s.ts_val << 32 | identity << 16 | s.window) * <uint64_t>0xD6E8FEB86659FD93
    key += (s.length ^ <uint32_t>s.flags << 20) * <uint64_t>0xA0761D6478BD642F
    return <uint32_t>(key >> 32)


cdef void remember_long(Flight *f, const Glimpse *g) noexcept nogil


cdef inline void glimpse(Flight *f, const Segment *s, uint32_t key) noexcept nogil:
    cdef Glimpse *g = &f.seen[f.seen_at & 3]
    f.seen_at += 1
    g.time_ns, g.key, g.id_and_ttl = s.time_ns, key, s.ip_id << 8 | s.ttl
    g.checksum, g.is_good, g.file = s.checksum, s.checksum_state == SUM_GOOD, <uint8_t>s.file
    if f.many != NULL:
        remember_long(f, g)


cdef inline void copy_remember(Flight *f, const Segment *s) noexcept nogil:
    """`copy_seen` of a segment that cannot be a copy."""
    glimpse(f, s, glimpse_key(s))


cdef bint copy_seen(Flight *f, const Segment *s, bint expected, Finding *out) noexcept nogil
cdef uint16_t ids_skipped(const Flight *f) noexcept nogil
cdef void copies_come_late(Flight *f, bint surely) noexcept nogil
cdef void expect_copies(Flight *f) noexcept nogil
cdef void copies_free(Flight *f) noexcept nogil
