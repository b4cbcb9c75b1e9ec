"""What of the segments that one side sent reached the other, and when."""
from libc.stdint cimport int64_t, uint32_t

from tcpscope.replay.lifecycle cimport Surroundings
from tcpscope.replay.marks cimport MARK_ASIDE, MARK_BAD_SUM, Mark, Marks
from tcpscope.replay.seq cimport before
from tcpscope.wire.segment cimport ACK, FIN, RST, SYN

cdef enum:
    SLACK_NS = 1_000_000         # of clocks and hosts, on top of a round trip

cdef bint is_connected(const Marks *m, const Mark *k) noexcept nogil
cdef int arrival(const Marks *m, const Surroundings *w, int first, int answer, int e, int mask, int want,
                 uint32_t end, bint fillers) noexcept nogil
cdef bint undelivered(const Marks *m, const Surroundings *w, int answer, int e, int mask, int want) noexcept nogil
cdef int acknowledged(const Marks *m, const Surroundings *w, int start, int e, uint32_t end, int mask,
                      int want) noexcept nogil
cdef bint goes_on(const Marks *m, int rst, int side, int64_t patience) noexcept nogil


cdef inline bint is_syn(const Mark *k) noexcept nogil:
    return k.flags & (SYN | ACK | RST) == SYN and not k.bits & MARK_ASIDE


cdef inline bint is_syn_ack(const Mark *k) noexcept nogil:
    return k.flags & (SYN | ACK | RST) == SYN | ACK


cdef inline bint is_plain(const Mark *k) noexcept nogil:
    """Something only an endpoint with a connection sends (an ACK at least), or a FIN."""
    return not k.flags & (SYN | RST) and not k.bits & MARK_ASIDE


cdef inline uint32_t end_of(const Mark *k) noexcept nogil:
    return k.seq + k.length + ((k.flags & SYN) >> 1) + (k.flags & FIN)


cdef inline bint arrives_whole(const Mark *k, const Surroundings *w) noexcept nogil:
    """A bad checksum is real only where the segment came in: what the capturing host sends has none yet."""
    return not (k.bits & MARK_BAD_SUM) or w.point == 1 + k.sender


cdef inline bint covers(const Mark *k, uint32_t end) noexcept nogil:
    return (k.flags & ACK) and not before(k.ack, end)


cdef inline int find(const Marks *m, int start, int sender, int mask, int want) noexcept nogil:
    """Index of the first mark of sender, from start on, whose flags under mask are want; -1: none."""
    cdef int i
    for i in range(start, m.count):
        if (m.items[i].sender == sender and m.items[i].flags & mask == want
                and not m.items[i].bits & MARK_ASIDE):
            return i
    return -1


cdef inline bint heard(const Marks *m, int side) noexcept nogil:
    """The capture holds a segment of that side."""
    return find(m, 0, side, 0, 0) >= 0


cdef inline int64_t under_way(const Surroundings *w, int e) noexcept nogil:
    """What e sent before it took something in may pass for so long after that has passed."""
    return w.reach_ns[e] + w.reach_ns[e] // 5 + (0 if w.point == 1 + e else SLACK_NS)
