"""The ring of chunks that a side has sent, in order of their numbers."""
from libc.stdint cimport uint32_t, uint64_t

from tcpscope.replay.flight cimport BARE_SYN, PROBE, Chunk, Finding, Flight
from tcpscope.wire.segment cimport ACK, SYN, Segment, spot

cdef enum:                       # of divide, instead of a place
    TOO_DEAR = -1
    NO_MEMORY = -2

cdef enum:
    ROOM_KEPT = 8                # chunks: below this the ring grows before anything acknowledged is forgotten
    ROOM_MOST = 16384
    LEAST_SPARE = 64             # chunks that any packet may look at
    GONE_MOST = 128              # chunks that are remembered beyond the ring

cdef void chunks_free(Flight *f) noexcept nogil
cdef void remember_gone(Flight *f) noexcept nogil
cdef Chunk *chunk_gone(Flight *f, uint32_t seq, uint32_t end) noexcept nogil
cdef void gone_free(Flight *f) noexcept nogil
cdef int make_room(Flight *f) noexcept nogil
cdef uint32_t place(Flight *f, uint32_t seq) noexcept nogil
cdef int insert(Flight *f, uint32_t at, const Segment *s, uint32_t end, uint64_t order, Finding *out) noexcept nogil
cdef int divide(Flight *f, uint32_t i, uint32_t seq, Finding *out) noexcept nogil


cdef inline Chunk *chunk(const Flight *f, uint32_t i) noexcept nogil:
    return &f.ring[(f.head + i) & (f.room - 1)]


cdef inline void fill(Chunk *c, const Segment *s, uint32_t end, uint64_t order) noexcept nogil:
    c.first_ns = c.last_ns = s.time_ns
    c.last_order, c.last_frame = order, spot(s)
    c.seq, c.end = s.seq, end
    c.first_ts = c.last_ts = s.ts_val
    c.ip_id, c.checksum = s.ip_id, s.checksum
    c.times, c.bits = 1, BARE_SYN if s.flags & (SYN | ACK) == SYN else 0


cdef inline bint forgets(const Flight *f) noexcept nogil:
    """A full ring lets its oldest chunk go instead of growing."""
    return (f.old > f.room // 2 and f.room >= ROOM_KEPT) or f.room >= ROOM_MOST


cdef inline int append(Flight *f, const Segment *s, uint32_t end, uint64_t order) noexcept nogil:
    """What was sent behind all chunks; -1 when memory runs out."""
    if f.old + f.live == f.room:
        if f.old and forgets(f):                # in place, as nearly always
            if chunk(f, 0).times > 1:
                remember_gone(f)
            f.head = (f.head + 1) & (f.room - 1)
            f.old -= 1
        elif make_room(f) < 0:
            return -1
    fill(chunk(f, f.old + f.live), s, end, order)
    f.live += 1
    return 0


cdef inline bint divisible(Flight *f, uint32_t i) noexcept nogil:
    return i >= f.old and not chunk(f, i).bits & (BARE_SYN | PROBE)


cdef inline bint take_one(Flight *f) noexcept nogil:
    """Pay for looking at one more chunk."""
    if f.spare == 0:
        return False
    f.spare -= 1
    return True
