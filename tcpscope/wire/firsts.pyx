# cython: wraparound=False, freethreading_compatible=True
"""Which segments bring the first bytes of a side, and what those say.

The reader alone has the bytes, and knows no connections: a small table tells by SYN and sequence number where a
side begins.  The replay, which has the connections, judges what is handed on with the segment.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

from tcpscope.wire.batch cimport SegmentBatch
from tcpscope.wire.hints cimport CERTAIN, FOLLOWS, SHORT, Hint, hint_of
from tcpscope.wire.segment cimport ACK, RST, SUM_BAD, SYN, Segment


cdef bint firsts_open(Firsts *f) noexcept nogil:
    """False when memory runs out."""
    f.entries = <Entry *>calloc(FLOWS, sizeof(Entry))
    return f.entries != NULL


cdef void firsts_close(Firsts *f) noexcept nogil:
    free(f.entries)
    free(f.gathers)
    f.entries, f.gathers = NULL, NULL


cdef void firsts_see(Firsts *f, SegmentBatch batch, Segment *s, const uint8_t *payload) noexcept nogil:
    """A segment that `firsts_want` does not turn away, with the captured bytes of its payload."""
    cdef uint32_t at = s.flow & (FLOWS - 1), start = s.seq
    cdef Entry *e = &f.entries[at]
    cdef int side = side_of(s)
    if e.flow != s.flow or s.flags & (SYN | ACK) == SYN:
        memset(e, 0, sizeof(Entry))
        e.flow = s.flow
    if s.flags & SYN:
        start += 1
        e.state[side], e.want[side] = AWAITED, start
    if s.captured == 0 or s.flags & RST or e.state[side] == DONE:
        return
    if e.state[side] == GATHERING:
        go_on(f, batch, s, payload, e, at, side)
        return
    if e.state[side] == AWAITED and start != e.want[side]:
        return
    look(f, batch, s, payload, e, at, side)


cdef void look(Firsts *f, SegmentBatch batch, Segment *s, const uint8_t *payload, Entry *e, uint32_t at,
               int side) noexcept nogil:
    """At a segment that may begin a side's stream."""
    cdef Hint *hint = batch.new_hint()
    cdef bint found
    if hint == NULL:
        return
    found = hint_of(payload, s.captured, e.said[1 - side], hint)
    if found:
        e.said[side] = hint.service
        s.hint = <uint16_t>batch.n_hints
        hint.size = <uint16_t>s.length if s.captured == s.length else 0
    else:
        batch.n_hints -= 1
    if s.checksum_state == SUM_BAD:               # its receiver may have dropped it: the repetition counts
        return
    if s.captured == s.length and ((found and hint.flags & SHORT) or (not found and s.captured < TOO_FEW)):
        if e.state[side] == AWAITED or (found and hint.flags & CERTAIN):
            gather(f, s, payload, e, at, side)
            return
    if found or e.state[side] == AWAITED or e.state[side] + 1 >= TRIES:
        e.state[side] = DONE
    else:
        e.state[side] += 1


cdef void gather(Firsts *f, const Segment *s, const uint8_t *payload, Entry *e, uint32_t at, int side) noexcept nogil:
    """Keep the bytes of a message whose rest is to come; of too many messages the oldest is given up."""
    cdef Gather *g
    e.state[side] = DONE
    if s.captured >= GATHERED:
        return
    if f.gathers == NULL:
        f.gathers = <Gather *>malloc(GATHERS * sizeof(Gather))
        if f.gathers == NULL:
            return
        memset(f.gathers, 0, GATHERS * sizeof(Gather))
    g = &f.gathers[f.next_gather % GATHERS]
    e.gather[side] = <uint16_t>(f.next_gather % GATHERS)
    f.next_gather += 1
    g.owner, g.flow, g.side, g.looks, g.size = at, s.flow, <uint8_t>side, 0, <uint16_t>s.captured
    memcpy(g.data, payload, s.captured)
    e.state[side], e.want[side] = GATHERING, s.seq + (1 if s.flags & SYN else 0) + s.length


cdef void go_on(Firsts *f, SegmentBatch batch, Segment *s, const uint8_t *payload, Entry *e, uint32_t at,
                int side) noexcept nogil:
    """With a message whose beginning is kept."""
    cdef Gather *g = &f.gathers[e.gather[side]]
    cdef Hint *hint
    cdef uint32_t some
    if g.owner != at or g.flow != s.flow or g.side != side:
        e.state[side] = DONE
        return
    if s.seq != e.want[side] or s.checksum_state == SUM_BAD:
        return
    some = min(s.captured, <uint32_t>(GATHERED - g.size))
    memcpy(g.data + g.size, payload, some)
    g.size += <uint16_t>some
    e.want[side] += s.length
    g.looks += 1
    hint = batch.new_hint()
    if hint == NULL:
        return
    if not hint_of(g.data, g.size, e.said[1 - side], hint):
        batch.n_hints -= 1
        if g.size >= TOO_FEW or s.captured != s.length or g.looks >= MOST_LOOKS:
            e.state[side] = DONE
        return
    hint.flags |= FOLLOWS
    hint.size = g.size if some == s.length else 0
    e.said[side] = hint.service
    s.hint = <uint16_t>batch.n_hints
    if not hint.flags & SHORT or g.size == GATHERED or s.captured != s.length or g.looks >= MOST_LOOKS:
        e.state[side] = DONE
