# cython: wraparound=False, freethreading_compatible=True
"""A FIN that the capture does not hold, told from what acknowledges it.

The peer acknowledges one number more than the capture has seen of a side, nothing ever follows it, and the
peer closes as well: a FIN takes one number (RFC 9293, 3.4).  It could be a byte of data, the last of its side,
whose FIN then never came; so what it does to the states is marked as inferred.  Where more than one number is missing,
the FIN may have come with the last data; that is believed when nothing else has come for a while.
"""
from libc.stdint cimport uint32_t
from libc.string cimport memcpy, memset

from tcpscope.replay.delivery cimport covers, end_of, find, is_plain
from tcpscope.replay.lifecycle cimport UNREPEATED_NS, Surroundings
from tcpscope.replay.marks cimport MARK_UNSEEN, Mark, Marks
from tcpscope.wire.segment cimport ACK, FIN, RST


cdef int shown_by(const Marks *m, int e, uint32_t end) noexcept nogil:
    """The first mark that bears witness to e's FIN, whose number ends at `end`; -1: none does."""
    cdef const Mark *k
    cdef int i
    for i in range(m.count):
        k = &m.items[i]
        if is_plain(k) and (k.seq if k.sender == e else k.ack) == end:
            return i
    return -1


cdef inline bint silent_since(const Marks *m, const Surroundings *w) noexcept nogil:
    """The capture has gone on for a while after the last that could have moved a state."""
    return w.now_ns - m.items[m.count - 1].time_ns > UNREPEATED_NS


cdef uint32_t acknowledging(const Marks *m, int e, int at, uint32_t peer_end) noexcept nogil:
    """What e's FIN, sent before the mark `at`, acknowledged: the peer's FIN too, unless e did that only later."""
    cdef const Mark *k
    cdef uint32_t latest = 0
    cdef int i
    cdef bint before_it = False, ever = False
    for i in range(m.count):
        k = &m.items[i]
        if k.sender != e or not k.flags & ACK or k.flags & RST:
            continue
        if i < at:
            latest = k.ack
        if covers(k, peer_end):
            ever = True
            before_it |= i < at
    return peer_end if before_it or not ever else latest


cdef bint with_unseen_fin(const Marks *m, const Surroundings *w, Marks *whole) noexcept nogil:
    """Whether there is one; then the marks with it are in `whole`, whose `items` have room for one more than MOST."""
    cdef Mark *fin
    cdef int e, at, peer_fin
    for e in range(2):
        if w.unseen[e] == 0:
            continue
        peer_fin = find(m, 0, 1 - e, FIN | RST, FIN)
        if peer_fin < 0 or w.unseen[e] > 1 and not silent_since(m, w):
            continue
        at = shown_by(m, e, w.unseen_end[e])
        if at < 0:
            continue
        memcpy(whole.items, m.items, at * sizeof(Mark))
        memcpy(whole.items + at + 1, m.items + at, (m.count - at) * sizeof(Mark))
        whole.count = m.count + 1
        fin = &whole.items[at]
        memset(fin, 0, sizeof(Mark))
        fin.time_ns, fin.order, fin.frame = m.items[at].time_ns, m.items[at].order, m.items[at].frame
        fin.seq, fin.flags, fin.sender, fin.bits = w.unseen_end[e] - 1, FIN | ACK, <unsigned char>e, MARK_UNSEEN
        fin.ack = m.items[at].seq
        if peer_fin < at:
            fin.ack = acknowledging(m, e, at, end_of(&m.items[peer_fin]))
        elif m.items[at].sender == e:
            fin.ack = m.items[at].ack
        return True
    return False
