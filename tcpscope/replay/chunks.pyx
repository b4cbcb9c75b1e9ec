# cython: wraparound=False, freethreading_compatible=True
"""The ring of chunks that a side has sent: room, search, and places in the middle.

To look at many of them for one packet is paid from what earlier packets left (Flight.spare).
"""
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc

from tcpscope.replay.flight cimport SACKED, Chunk, Finding, Flight
from tcpscope.replay.seq cimport after, before
from tcpscope.wire.segment cimport Segment

cdef enum:
    ROOM_LEAST = 2               # chunks; most connections are short
    GONE_LEAST = 4


cdef void chunks_free(Flight *f) noexcept nogil:
    free(f.ring)
    f.ring, f.room = NULL, 0


cdef int make_room(Flight *f) noexcept nogil:
    """One more place at the end of a full ring: forget the oldest chunk, or double the ring; -1: no memory."""
    cdef uint32_t room, i, kept = f.old + f.live
    cdef Chunk *ring
    if forgets(f):
        if chunk(f, 0).times > 1:
            remember_gone(f)
        f.head = (f.head + 1) & (f.room - 1)
        if f.old:
            f.old -= 1
        else:
            f.live -= 1              # more in flight than is kept: the oldest is let go
        return 0
    room = f.room * 2 if f.room else ROOM_LEAST
    ring = <Chunk *>malloc(room * sizeof(Chunk))
    if ring == NULL:
        return -1
    for i in range(kept):
        ring[i] = chunk(f, i)[0]
    free(f.ring)
    f.ring, f.room, f.head = ring, room, 0
    return 0


cdef void remember_gone(Flight *f) noexcept nogil:
    """The oldest chunk, sent again, leaves the ring: the D-SACK for one of its copies may come much later.

    A copy that the path held up answers when it comes, whatever a round trip takes by then.
    """
    cdef uint32_t room = f.gone_room
    cdef Chunk *wider
    if f.n_gone == room and room < GONE_MOST:
        wider = <Chunk *>realloc(f.gone, (room * 2 if room else GONE_LEAST) * sizeof(Chunk))
        if wider == NULL:
            return
        f.gone, f.gone_room = wider, room * 2 if room else GONE_LEAST
    f.gone[f.n_gone & (f.gone_room - 1)] = chunk(f, 0)[0]
    f.n_gone += 1


cdef Chunk *chunk_gone(Flight *f, uint32_t seq, uint32_t end) noexcept nogil:
    """The latest of those that has some of these numbers; NULL: none."""
    cdef uint32_t back
    cdef Chunk *c
    for back in range(1, min(f.n_gone, f.gone_room) + 1):
        c = &f.gone[(f.n_gone - back) & (f.gone_room - 1)]
        if before(c.seq, end) and after(c.end, seq):
            return c
    return NULL


cdef void gone_free(Flight *f) noexcept nogil:
    free(f.gone)
    f.gone = NULL
    f.gone_room = f.n_gone = 0


cdef uint32_t place(Flight *f, uint32_t seq) noexcept nogil:
    """Index of the first chunk that ends after seq."""
    cdef uint32_t low = 0, high = f.old + f.live, middle
    while low < high:
        middle = (low + high) // 2
        if after(chunk(f, middle).end, seq):
            high = middle
        else:
            low = middle + 1
    return low


cdef inline bint may_look(Flight *f, uint32_t chunks) noexcept nogil:
    """Pay for looking at so many chunks; False when that is too dear."""
    if chunks <= LEAST_SPARE:
        return True
    if chunks > f.spare:
        return False
    f.spare -= chunks
    return True


cdef int open_place(Flight *f, uint32_t at, Finding *out) noexcept nogil:
    """Move what lies at `at` and behind up by one place; the place, TOO_DEAR, or NO_MEMORY."""
    cdef uint32_t i, kept = f.old + f.live
    if at < f.old or kept - at > 2048:
        return TOO_DEAR             # long acknowledged, or too far back to be worth the move
    if not may_look(f, kept - at):
        out.in_part = True
        return TOO_DEAR
    if kept == f.room:
        if forgets(f):
            if at == 0:
                return TOO_DEAR
            at -= 1
        if make_room(f) < 0:
            return NO_MEMORY
        kept = f.old + f.live
    i = kept
    while i > at:
        chunk(f, i)[0] = chunk(f, i - 1)[0]
        i -= 1
    f.live += 1
    return <int>at


cdef int insert(Flight *f, uint32_t at, const Segment *s, uint32_t end, uint64_t order, Finding *out) noexcept nogil:
    """A chunk for a hole that has been filled."""
    cdef int place = open_place(f, at, out)
    if place < 0:
        return 0 if place == TOO_DEAR else -1
    fill(chunk(f, place), s, end, order)
    if not before(s.seq, f.told_from) and not after(end, f.told_to):
        chunk(f, place).bits |= SACKED  # the peer had it before the capture
    return 0


cdef int divide(Flight *f, uint32_t i, uint32_t seq, Finding *out) noexcept nogil:
    """Chunk i becomes two, the second from seq on: only one of them is sent again.  The second's place, or < 0."""
    cdef int place
    if i == 0 and f.live == f.room and f.room >= ROOM_MOST:
        return TOO_DEAR             # what makes room is this very chunk, the oldest
    place = open_place(f, i + 1, out)
    if place > 0:
        chunk(f, place)[0] = chunk(f, place - 1)[0]
        chunk(f, place - 1).end = chunk(f, place).seq = seq
    return place
