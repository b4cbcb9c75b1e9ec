"""The segments of one side that wait for their acknowledgment, as Wireshark keeps them: in order of arrival."""
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from tcpscope.replay.seq cimport after, before

cdef struct Unacked:
    int64_t when
    uint32_t seq
    uint32_t end

cdef struct Bunch:               # 64 places of the ring, while it is in disorder
    uint64_t live                # a bit for each that is in use
    uint32_t least_seq           # of those
    uint32_t least_end
    uint32_t floor               # what begins before it counts as beginning here; valid with `floored`
    bint floored

cdef struct Disorder:
    uint32_t least               # no entry begins before it ...
    uint32_t most                # ... or ends behind it
    int32_t late                 # the last place, from head on, whose entry begins before its predecessor ends
    Bunch bunches[1]             # as many as the ring has

cdef struct Queue:
    Unacked *ring                # NULL until something was sent
    Disorder *disorder           # NULL while the entries stand in order of their numbers
    uint32_t head
    uint32_t used                # places from head on; in disorder some of them are free again
    uint32_t count
    uint32_t room                # a power of two

cdef int unacked_add_slowly(Queue *q, int64_t when, uint32_t seq, uint32_t end) noexcept nogil
cdef int64_t unacked_forget_slowly(Queue *q, uint32_t ack, int64_t now) noexcept nogil
cdef void unacked_free(Queue *q) noexcept nogil


cdef inline Unacked *unacked_at(const Queue *q, uint32_t i) noexcept nogil:
    return &q.ring[(q.head + i) & (q.room - 1)]


cdef inline int unacked_add(Queue *q, int64_t when, uint32_t seq, uint32_t end) noexcept nogil:
    """-1 when memory runs out."""
    cdef Unacked *u
    if q.used == q.room or q.disorder != NULL or (q.used and before(seq, unacked_at(q, q.used - 1).end)):
        return unacked_add_slowly(q, when, seq, end)
    u = unacked_at(q, q.used)
    u.when, u.seq, u.end = when, seq, end
    q.used += 1
    q.count += 1
    return 0


cdef inline int64_t unacked_forget(Queue *q, uint32_t ack, int64_t now) noexcept nogil:
    """Take away what `ack` covers; -> the round trip of the first segment that ends exactly there, or 0."""
    cdef Unacked *u
    cdef int64_t rtt = 0
    if q.disorder != NULL:
        return unacked_forget_slowly(q, ack, now) if after(ack, q.disorder.least) else 0
    while q.used:
        u = unacked_at(q, 0)
        if after(u.end, ack):
            if before(u.seq, ack):
                u.seq = ack
            break
        if u.end == ack:
            rtt = now - u.when
        q.head = (q.head + 1) & (q.room - 1)
        q.used -= 1
        q.count -= 1
    return rtt


cdef inline uint32_t unacked_span(const Queue *q) noexcept nogil:
    """From the smallest start to the largest end; call with count > 0."""
    if q.disorder != NULL:
        return q.disorder.most - q.disorder.least
    return unacked_at(q, q.used - 1).end - unacked_at(q, 0).seq
