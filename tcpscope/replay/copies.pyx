# cython: wraparound=False, freethreading_compatible=True
"""Whether this very packet was captured before: by a mirror port, on a second interface, or copied by the network."""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t
from libc.stdlib cimport calloc, free

from tcpscope.replay.annotations cimport A_DUPLICATE_CAPTURE, A_NETWORK_DUPLICATE, bit
from tcpscope.replay.flight cimport Finding, Flight, Glimpse
from tcpscope.wire.segment cimport FIN, SUM_GOOD, SYN, Segment

cdef enum:
    MS = 1_000_000
    EXPECTED = 2                 # late copies: the next is no accident
    MANY_LEAST = 16              # packets remembered then
    MANY_MOST = 1024
    LINUX_TTL = 64
    LONGEST = 1460               # bytes of one segment, jumbo frames aside
    MOST_SKIPPED = 16            # more, and what came between was no answer's few copies


cdef bint is_same(const Glimpse *g, const Segment *s, bint expected) noexcept nogil:
    """s, which has the same key, is the packet that was seen then."""
    cdef int64_t within
    cdef bint other
    if g.id_and_ttl == 0 or g.id_and_ttl >> 8 != s.ip_id:
        return False
    if g.is_good and s.checksum_state == SUM_GOOD and g.checksum != s.checksum:
        return False                     # other options, or another payload
    other = elsewhere(g, s)
    if identified(s) or other:
        within = ELSEWHERE_NS if other and (identified(s) or s.ts_val) else COPY_WITHIN_NS
    else:
        within = MS
    if s.time_ns - g.time_ns > within:
        return False
    return identified(s) or expected or s.length > 0 or s.flags & (SYN | FIN) != 0


cdef inline bint elsewhere(const Glimpse *g, const Segment *s) noexcept nogil:
    """It was captured before or behind a router, or in another file."""
    return s.ttl != g.id_and_ttl & 0xFF or <uint8_t>s.file != g.file


cdef inline Glimpse *either(const Flight *f, uint32_t key, int which) noexcept nogil:
    """One of the two places in `many` where a packet of this key may be."""
    return &f.many[(key & f.many_mask) ^ <uint32_t>which]


cdef bint put(Flight *f, const Glimpse *g) noexcept nogil:
    """Into a place that is free, or holds a packet whose copy can no longer come; False where there is none."""
    cdef Glimpse *there
    cdef int which
    for which in range(2):
        there = either(f, g.key, which)
        if there.id_and_ttl == 0 or g.time_ns - there.time_ns >= ELSEWHERE_NS:
            there[0] = g[0]
            return True
    return False


cdef void widen(Flight *f, uint32_t room) noexcept nogil:
    """Room for so many packets, those known among them; as far as there is memory."""
    cdef Glimpse *wide = <Glimpse *>calloc(room, sizeof(Glimpse))
    cdef Glimpse *narrow = f.many
    cdef uint32_t i, count = f.many_mask + 1 if f.many != NULL else 0
    if wide == NULL:
        return
    f.many, f.many_mask = wide, room - 1
    for i in range(count):
        if narrow[i].id_and_ttl:
            put(f, &narrow[i])
    free(narrow)


cdef void remember_long(Flight *f, const Glimpse *g) noexcept nogil:
    """In `many`, which grows where a packet would have to go whose copy may still come."""
    cdef uint32_t before
    while not put(f, g):
        before = f.many_mask
        if before + 1 < MANY_MOST:
            widen(f, 2 * (before + 1))
        if f.many_mask == before:
            either(f, g.key, 0)[0] = g[0]
            return


cdef void copies_come_late(Flight *f, bint surely) noexcept nogil:
    """One did, so more packets are remembered from now on.  surely: it was captured at another place."""
    if not surely and f.late_copies < EXPECTED:
        f.late_copies += 1
    elif f.many == NULL:
        widen(f, MANY_LEAST)


cdef void expect_copies(Flight *f) noexcept nogil:
    """Another capture runs at this time: what is sent now may be in that one, too, and come later by its clock."""
    if f.many == NULL:
        widen(f, MANY_LEAST)


cdef void tell(Flight *f, const Glimpse *g, const Segment *s, Finding *out) noexcept nogil:
    """Annotate the copy."""
    cdef bint late = s.time_ns - g.time_ns >= SAME_CAPTURE_NS, other = elsewhere(g, s)
    out.annotations |= bit(A_DUPLICATE_CAPTURE if other or not late else A_NETWORK_DUPLICATE)
    if late or other:
        copies_come_late(f, other)


cdef bint copy_seen(Flight *f, const Segment *s, bint expected, Finding *out) noexcept nogil:
    """Whether this very packet was captured before; if not, it is remembered.

    expected: the connection has shown copies already.  Without an IP ID, two equal pure
    acknowledgments or RSTs are taken for copies of one only then: a host may well send the same twice.
    """
    cdef uint32_t key = glimpse_key(s)
    cdef int i
    for i in range(4):
        if f.seen[i].key == key and is_same(&f.seen[i], s, expected):
            tell(f, &f.seen[i], s, out)
            return True
    for i in range(2 if f.many != NULL else 0):
        if either(f, key, i).key == key and is_same(either(f, key, i), s, expected):
            tell(f, either(f, key, i), s, out)
            return True
    glimpse(f, s, key)
    return False


cdef void copies_free(Flight *f) noexcept nogil:
    free(f.many)
    f.many, f.many_mask = NULL, 0


cdef uint16_t ids_skipped(const Flight *f) noexcept nogil:
    """IP IDs between those of the side's two latest packets; 0, too, where they tell nothing.

    Linux, whose TTL begins with 64, counts each connection's packets: those were lost before they came here.  Others
    count all that they send, or nothing.  Where several segments were put together into one the count is not known.
    """
    cdef uint32_t one = f.seen[(f.seen_at - 2) & 3].id_and_ttl, two = f.seen[(f.seen_at - 1) & 3].id_and_ttl
    cdef uint32_t zero = f.seen[(f.seen_at - 3) & 3].id_and_ttl, step = step_of(one, two)
    if f.length_before > LONGEST or two & 0xFF > LINUX_TTL or not 1 < step <= MOST_SKIPPED:
        return 0
    return <uint16_t>(step - 1) if step_of(zero, one) <= 1 else 0        # else so it counts


cdef inline uint32_t step_of(uint32_t one, uint32_t two) noexcept nogil:
    """From the ID of a packet to that of the next, both as in Glimpse; 0: not known."""
    one >>= 8
    two >>= 8
    return (two - one) & 0xFFFF if one and two and one != NO_ID and two != NO_ID else 0
