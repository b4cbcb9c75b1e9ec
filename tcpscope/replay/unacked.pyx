# cython: wraparound=False, freethreading_compatible=True
"""The queue of unacknowledged segments when they do not come in order of their numbers.

Nearly always they do, and an acknowledgment takes from the front.  Else it may take from anywhere, and
to look at every entry for every acknowledgment would cost a sender of many small pieces nothing and us
much.  So 64 places each are summed up (Bunch): of most it is clear at a glance that nothing changes.
"""
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc

from tcpscope.replay.seq cimport after, before

cdef enum:
    BUNCH = 64
    FIRST_ROOM = 2


cdef void unacked_free(Queue *q) noexcept nogil:
    free(q.ring)
    free(q.disorder)
    q.ring, q.disorder = NULL, NULL
    q.head = q.used = q.count = q.room = 0


cdef inline uint32_t place_of(const Queue *q, uint32_t i) noexcept nogil:
    return (q.head + i) & (q.room - 1)


cdef inline Bunch *bunch_of(const Queue *q, uint32_t place) noexcept nogil:
    return &q.disorder.bunches[place // BUNCH]


# ---------------------------------------------------------------- adding

cdef int grow(Queue *q) noexcept nogil:
    """Double the ring; what had wrapped round to the front goes behind the old end."""
    cdef uint32_t room = q.room * 2 if q.room else FIRST_ROOM, i
    cdef Unacked *ring = <Unacked *>realloc(q.ring, room * sizeof(Unacked))
    if ring == NULL:
        return -1
    q.ring = ring
    for i in range(q.head):
        ring[q.room + i] = ring[i]
    q.room = room
    return 0


cdef int close_up(Queue *q) noexcept nogil:
    """Leave no free place between the entries; where they are in order now, the disorder is over.  -1: no memory."""
    cdef uint32_t i, place, kept = 0
    cdef int32_t late = 0
    cdef Unacked *u
    cdef Bunch *b
    for i in range(q.used):
        place = place_of(q, i)
        b = bunch_of(q, place)
        if not b.live >> (place % BUNCH) & 1:
            continue
        u = unacked_at(q, kept)
        u[0] = q.ring[place]
        if b.floored and before(u.seq, b.floor):
            u.seq = b.floor
        if kept and before(u.seq, unacked_at(q, kept - 1).end):
            late = <int32_t>kept
        kept += 1
    q.used = q.count = kept
    if late == 0:
        free(q.disorder)
        q.disorder = NULL
        return 0
    q.disorder.late = late
    return sum_up(q)


cdef int sum_up(Queue *q) noexcept nogil:
    """Make the bunches of entries that stand without a free place between them; -1 when memory runs out."""
    cdef uint32_t i, place, count = (q.room + BUNCH - 1) // BUNCH
    cdef Disorder *it = <Disorder *>realloc(q.disorder, sizeof(Disorder) + (count - 1) * sizeof(Bunch))
    if it == NULL:
        return -1
    q.disorder = it
    for i in range(count):
        it.bunches[i].live, it.bunches[i].floored = 0, False
    for i in range(q.used):
        place = place_of(q, i)
        note(bunch_of(q, place), place % BUNCH, &q.ring[place])
    return 0


cdef inline void note(Bunch *b, uint32_t at, const Unacked *u) noexcept nogil:
    """One more entry of b, at its place `at`."""
    if b.live == 0 or before(u.seq, b.least_seq):
        b.least_seq = u.seq
    if b.live == 0 or before(u.end, b.least_end):
        b.least_end = u.end
    b.live |= <uint64_t>1 << at


cdef int unacked_add_slowly(Queue *q, int64_t when, uint32_t seq, uint32_t end) noexcept nogil:
    """The ring is full, or the entry comes out of order, or others did; -1 when memory runs out."""
    cdef Unacked *u
    cdef Bunch *b
    cdef uint32_t place
    if q.used == q.room:
        if q.disorder != NULL and close_up(q) < 0:
            return -1
        if q.used > q.room // 4 * 3 or q.room < BUNCH:
            if grow(q) < 0 or (q.disorder != NULL and sum_up(q) < 0):
                return -1
    if q.disorder == NULL:
        if not (q.used and before(seq, unacked_at(q, q.used - 1).end)):
            return unacked_add(q, when, seq, end)
        if sum_up(q) < 0:
            return -1
        q.disorder.least, q.disorder.most = unacked_at(q, 0).seq, unacked_at(q, q.used - 1).end
        q.disorder.late = <int32_t>q.used
    elif before(seq, unacked_at(q, q.used - 1).end):
        q.disorder.late = <int32_t>q.used
    place = place_of(q, q.used)
    u = &q.ring[place]
    u.when, u.seq, u.end = when, seq, end
    b = bunch_of(q, place)
    if b.floored:
        lift(q, b, place // BUNCH)
    note(b, place % BUNCH, u)
    q.used += 1
    q.count += 1
    if before(seq, q.disorder.least):
        q.disorder.least = seq
    if after(end, q.disorder.most):
        q.disorder.most = end
    return 0


cdef void lift(Queue *q, Bunch *b, uint32_t number) noexcept nogil:
    """Write the floor into the entries, so that another may come that begins before it."""
    cdef uint32_t i
    cdef Unacked *u
    for i in range(BUNCH):
        if b.live >> i & 1:
            u = &q.ring[number * BUNCH + i]
            if before(u.seq, b.floor):
                u.seq = b.floor
    b.floored = False


# ---------------------------------------------------------------- taking away

cdef int64_t unacked_forget_slowly(Queue *q, uint32_t ack, int64_t now) noexcept nogil:
    """As unacked_forget, where entries came out of order."""
    cdef uint32_t i, first = q.room
    cdef int64_t rtt = 0
    cdef Bunch *b
    cdef bint any_left = False
    for i in range((q.room + BUNCH - 1) // BUNCH):
        b = &q.disorder.bunches[i]
        if b.live and not after(b.least_end, ack):
            take(q, b, i, ack, now, &first, &rtt)
        if not b.live:
            continue
        if before(b.least_seq, ack):
            b.floor, b.floored = ack, True
            b.least_seq = ack
        if not any_left or before(b.least_seq, q.disorder.least):
            q.disorder.least = b.least_seq
        any_left = True
    while q.used and not bunch_of(q, q.head).live >> (q.head % BUNCH) & 1:
        q.head = (q.head + 1) & (q.room - 1)
        q.used -= 1
        q.disorder.late -= 1
    if q.disorder.late <= 0 and close_up(q) < 0:       # what is left came in order, or nothing is left
        unacked_free(q)                                # without memory nothing waits any longer
    return rtt


cdef void take(Queue *q, Bunch *b, uint32_t number, uint32_t ack, int64_t now, uint32_t *first, int64_t *rtt
               ) noexcept nogil:
    """Of one bunch.  first: how far from the head the entry stands that gave rtt."""
    cdef uint64_t left = b.live
    cdef uint32_t i, far
    cdef Unacked *u
    if b.floored:
        lift(q, b, number)
    b.live = 0
    for i in range(BUNCH):
        if not left >> i & 1:
            continue
        u = &q.ring[number * BUNCH + i]
        if after(u.end, ack):
            note(b, i, u)
            continue
        q.count -= 1
        far = (number * BUNCH + i - q.head) & (q.room - 1)
        if u.end == ack and far < first[0] and now != u.when:
            first[0], rtt[0] = far, now - u.when
