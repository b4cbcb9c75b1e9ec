# cython: wraparound=False, freethreading_compatible=True
"""Which segments of a connection its states can depend on.

In the middle of a connection nothing moves a state, so the bulk of the packets never comes
here: kept are SYN, FIN and RST, what follows a SYN until both sides have spoken, and what
follows a FIN.  A connection of any length keeps a dozen; hostile ones at most MOST.

Long after a FIN, when it waits behind a hole or the other side goes on sending, and in the middle of a
connection, only the latest of each side is kept (provisional), until something happens that makes it matter.
"""
from libc.stdlib cimport free, realloc

from tcpscope.replay.seq cimport before
from tcpscope.wire.segment cimport ACK, FIN, OPT_TIMESTAMPS, RST, SYN, Segment, spot

cdef enum:
    MOST_PLAIN = 8               # segments without SYN kept while opening
    MOST_CLOSING = 64            # from here on only what acknowledges a FIN


cdef bint marks_want(const Marks *m, const Segment *s, int sender, bint ahead, bint tells) noexcept nogil:
    """ahead: numbered from behind something that was not captured; tells: it acknowledges such."""
    if s.flags & (SYN | FIN | RST) or m.phase == OPENING or not m.spoke[sender]:
        return True
    return m.phase == CLOSING_DOWN or tells or ahead and s.length == 0


cdef int marks_keep(Marks *m, const Segment *s, int sender, uint64_t order, uint8_t bits) noexcept nogil:
    """Append a mark; -1 when memory runs out."""
    cdef Mark *items
    cdef Mark *k
    cdef uint16_t room
    if is_passing(m, s, sender, bits):
        bits |= MARK_PROVISIONAL
        drop_older(m, sender)
    note(m, s, sender)
    if m.count == m.room and m.room < MOST:
        room = 5 if m.room == 0 else <uint16_t>min(m.room * 2, MOST)    # most openings are five segments
        items = <Mark *>realloc(m.items, room * sizeof(Mark))
        if items == NULL:
            return -1
        m.items, m.room = items, room
    if m.count == m.room:
        m.count -= 1                 # the last place is written again: the end is worth more than the middle
    k = &m.items[m.count]
    m.count += 1
    k.time_ns, k.order, k.frame = s.time_ns, order, spot(s)
    if m.count > 1:
        k.time_ns = max(k.time_ns, (k - 1).time_ns)      # a clock that is set back does not undo what has happened
    k.seq, k.ack, k.length = s.seq, s.ack, s.length
    k.ts_val, k.ts_ecr = s.ts_val, s.ts_ecr
    k.flags, k.sender = <uint8_t>s.flags, <uint8_t>sender
    k.bits = bits | (MARK_TIMESTAMPS if s.options & OPT_TIMESTAMPS else 0)
    return 0


cdef inline bint is_passing(const Marks *m, const Segment *s, int sender, uint8_t bits) noexcept nogil:
    """It matters only until its sender's next one: nothing opens or closes, or that has gone on for long."""
    if s.flags & (SYN | FIN | RST) or bits & MARK_UNREACHABLE:
        return False
    if m.phase == QUIET:
        return m.spoke[sender]
    return (m.phase == CLOSING_DOWN and m.count >= MOST_CLOSING
            and not (m.owes[sender] and s.flags & ACK and not before(s.ack, m.fin_end[1 - sender])))


cdef inline void drop_older(Marks *m, int sender) noexcept nogil:
    """Of the provisional marks at the end of the list, take out this sender's."""
    cdef Mark *last = &m.items[m.count - 1]
    if m.count == 0 or not last.bits & MARK_PROVISIONAL:
        return
    if last.sender == sender:
        m.count -= 1
    elif m.count > 1 and (last - 1).bits & MARK_PROVISIONAL and (last - 1).sender == sender:
        (last - 1)[0] = last[0]
        m.count -= 1


cdef inline void note(Marks *m, const Segment *s, int sender) noexcept nogil:
    """Keep track of the phase and of who owes an acknowledgment of a FIN."""
    cdef int peer = 1 - sender
    if s.flags & SYN:
        m.phase, m.plain = OPENING, 0
        m.spoke[0] = m.spoke[1] = False
    else:
        m.plain = <uint8_t>min(m.plain + 1, 255)
        m.spoke[sender] = True
    if s.flags & ACK and m.owes[sender] and not before(s.ack, m.fin_end[peer]):
        m.owes[sender] = False
    if s.flags & FIN:
        m.owes[peer] = True
        m.fin_end[sender] = s.seq + s.length + 1
    if s.flags & (FIN | RST):
        m.phase = CLOSING_DOWN
    elif m.phase == OPENING and ((m.spoke[0] and m.spoke[1]) or m.plain >= MOST_PLAIN):
        m.phase = QUIET


cdef void marks_free(Marks *m) noexcept nogil:
    free(m.items)
    m.items = NULL
    m.count = m.room = 0
