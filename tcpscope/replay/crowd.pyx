# cython: wraparound=False, freethreading_compatible=True
"""Of very many open connections, those that have been silent for longest are packed (resting.pyx).

They stand in a list; where there are more than Replay.unpacked, the first of it is packed, or has another turn if
something of it has come since it was put there (the clock algorithm of paging).  A packed connection keeps its next few
segments as they are, as an embryo does, so that those that speak in turns are not unpacked for each.
"""
from tcpscope.replay.connection cimport MORE, PAIR, Connection, Flow
from tcpscope.replay.resting cimport may_rest, rest
from tcpscope.replay.run cimport Replay
from tcpscope.wire.segment cimport ACK, PSH, TCP_SEGMENT, Segment

cdef enum:
    TURNS = 4                    # of the list that one newcomer looks at
    WAITING = PAIR + MORE        # segments that a packed connection keeps


cdef void put_last(Replay *r, Connection *c) noexcept nogil:
    c.in_crowd, c.joined_ns = True, c.last_ns
    c.before_me, c.after_me = r.crowd_last, NULL
    if r.crowd_last == NULL:
        r.crowd_first = c
    else:
        r.crowd_last.after_me = c
    r.crowd_last = c
    r.crowd += 1


cdef void crowd_leave(Replay *r, Connection *c) noexcept nogil:
    """c ends, or is packed, or is followed by another of the same flow."""
    if not c.in_crowd:
        return
    if c.before_me == NULL:
        r.crowd_first = c.after_me
    else:
        c.before_me.after_me = c.after_me
    if c.after_me == NULL:
        r.crowd_last = c.before_me
    else:
        c.after_me.before_me = c.before_me
    c.before_me = c.after_me = NULL
    c.in_crowd, c.joined_ns = False, 0
    r.crowd -= 1


cdef int crowd_join(Replay *r, Connection *c) noexcept nogil:
    """One more that is not packed, and another packed where they are too many; -1 when memory runs out."""
    cdef Connection *silent
    cdef int turn
    put_last(r, c)
    if r.crowd <= r.unpacked:
        return 0
    for turn in range(TURNS):
        silent = r.crowd_first
        if (silent.last_ns == silent.joined_ns or turn == TURNS - 1) and may_rest(silent):
            crowd_leave(r, silent)
            return rest(r, silent.flow, True)
        crowd_leave(r, silent)
        put_last(r, silent)
    return 0


cdef bint crowd_keeps(const Flow *f, const Segment *s) noexcept nogil:
    """s, of f that is packed, can wait: nothing but data or an acknowledgment of data."""
    return (not f.packed.closing and f.n_saved < WAITING and s.flags & ~PSH == ACK and s.n_sack == 0 and s.hint == 0
            and s.kind == TCP_SEGMENT)
