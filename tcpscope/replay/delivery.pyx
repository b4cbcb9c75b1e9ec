# cython: wraparound=False, freethreading_compatible=True
"""What of the segments that one side sent reached the other, and when.

Sent is not delivered.  Of several copies of a SYN or FIN, the receiver's transition belongs to
the one that arrived: the copy whose timestamp its answer echoes (RFC 7323, 4.3), else the first
that no later, older acknowledgment contradicts and that is old enough for the answer.

A repetition after an acknowledgment proves that the acknowledgment was not delivered, if there
was time for it to be (`reach_ns`); so the last ACK of a close or of a handshake may be one of
several.

Who goes on talking after a RST did not get it, or did not send it.
"""
from libc.stdint cimport int64_t, uint32_t

from tcpscope.replay.lifecycle cimport Surroundings
from tcpscope.replay.marks cimport MARK_ASIDE, MARK_TIMESTAMPS, Mark, Marks
from tcpscope.replay.seq cimport after, before
from tcpscope.wire.segment cimport ACK, FIN, RST, SYN


cdef bint is_connected(const Marks *m, const Mark *k) noexcept nogil:
    """k shows that its sender's SYN-ACK was acknowledged: it sends data or a FIN, or has taken in more than a SYN."""
    cdef int syn = find(m, 0, k.sender, SYN | ACK | RST, SYN | ACK)
    return (syn >= 0 and is_plain(k) and k.flags & ACK
            and (k.length or k.flags & FIN or after(k.ack, m.items[syn].ack)))


cdef bint contradicted(const Marks *m, const Surroundings *w, int copy, int answer, int e, uint32_t end) noexcept nogil:
    """e acknowledged less than `end`, or still asked for the SYN, when the copy would have reached it."""
    cdef const Mark *c = &m.items[copy]
    cdef const Mark *k
    cdef int i
    cdef int64_t patience = w.reach_ns[e] + w.reach_ns[e] // 5 + SLACK_NS // 5
    if w.point == 1 + e:
        patience = SLACK_NS // 20           # on e's own host only its stack stands between
    for i in range(copy + 1, answer):
        k = &m.items[i]
        if k.sender == e and is_plain(k) and is_syn_ack(&m.items[answer]):
            return True                     # it spoke for an old connection still (RFC 9293, 3.10.7.4; RFC 5961, 4)
        if k.sender != e or k.flags & RST or not (is_syn(k) or (k.flags & ACK and before(k.ack, end))):
            continue
        if k.time_ns - c.time_ns > patience:
            return True
        if c.length and covers(k, end_of(c)):
            return True                     # it was taken in, and a hole remained
    return False


cdef bint may_bring(const Mark *k, int mask, int want, uint32_t end, bint fillers) noexcept nogil:
    """k is a copy of what was asked for, or data before it that may have filled the last hole."""
    if k.flags & mask == want:
        return True
    return fillers and k.length > 0 and not after(end_of(k), end)


cdef int arrival(const Marks *m, const Surroundings *w, int first, int answer, int e, int mask, int want,
                 uint32_t end, bint fillers) noexcept nogil:
    """Of the copies from `first` on: the one that e had taken in when it sent the mark `answer`."""
    cdef int sender = 1 - e
    cdef const Mark *c = &m.items[answer]
    cdef const Mark *k
    cdef int i, viable = -1, latest = -1, fallback = first
    cdef int64_t age
    cdef int64_t least = w.reach_ns[e] * 6 // 10
    if w.point == 1 + e:
        least = 0
    for i in range(first, answer):
        k = &m.items[i]
        if k.sender != sender or not may_bring(k, mask, want, end, fillers) or not arrives_whole(k, w):
            continue
        age = c.time_ns - k.time_ns
        if (c.bits & k.bits & MARK_TIMESTAMPS and c.ts_ecr == k.ts_val
                and not contradicted(m, w, i, answer, e, end)):
            return i
        if age < least:
            continue
        fallback = i
        if contradicted(m, w, i, answer, e, end):
            continue
        if viable < 0:
            viable = i
        latest = i
    if viable < 0:
        return fallback
    if w.point != 1 + e and c.time_ns - m.items[latest].time_ns <= w.reach_ns[e] * 3 // 2 + SLACK_NS:
        return latest
    return viable


cdef bint undelivered(const Marks *m, const Surroundings *w, int answer, int e, int mask, int want) noexcept nogil:
    """e repeats what the mark `answer` acknowledged, though that had time to reach it."""
    cdef const Mark *k
    cdef int i
    if w.point == 1 + e and want & FIN:
        return False
    for i in range(answer + 1, m.count):
        k = &m.items[i]
        if k.sender != e or k.bits & MARK_ASIDE:
            continue
        if want & SYN and is_plain(k):
            return False                # it speaks as one who is connected
        if (k.flags & mask == want
                and k.time_ns - m.items[answer].time_ns > w.reach_ns[e] + w.reach_ns[e] // 5):
            return True
    return False


cdef int acknowledged(const Marks *m, const Surroundings *w, int start, int e, uint32_t end, int mask,
                      int want) noexcept nogil:
    """The peer's mark that brought e the acknowledgment of `end` (its SYN or FIN); -1: none did."""
    cdef int i
    cdef const Mark *k
    for i in range(start, m.count):
        k = &m.items[i]
        if k.sender == 1 - e and covers(k, end) and not k.flags & RST and arrives_whole(k, w):
            if not undelivered(m, w, i, e, mask, want):
                return i
    return -1


cdef bint goes_on(const Marks *m, int rst, int side, int64_t patience) noexcept nogil:
    """`side` still talks as a connection does after the RST, or ICMP error, at this index."""
    cdef const Mark *r = &m.items[rst]
    cdef const Mark *k
    cdef int i
    for i in range(rst + 1, m.count):
        k = &m.items[i]
        if k.sender != side or k.flags & RST or k.bits & MARK_ASIDE:
            continue
        if k.time_ns - r.time_ns <= patience:
            continue
        if is_plain(k) or k.flags & SYN:
            return True
    return False
