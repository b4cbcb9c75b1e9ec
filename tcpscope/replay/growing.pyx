# cython: wraparound=False, freethreading_compatible=True
"""From a flow's kept segments to a connection, and the end of those that have closed."""
from libc.stdint cimport int64_t, uint32_t, uint64_t

from tcpscope.replay.announce cimport touch
from tcpscope.replay.bodies cimport bodies_take
from tcpscope.replay.connection cimport Connection, Flow, Saved
from tcpscope.replay.embryo cimport (
    embryo_begins, embryo_damaged, embryo_free, embryo_keep, embryo_may_be_closed, embryo_segment, saved_at,
)
from tcpscope.replay.ending cimport end, linger, overdue, shed_body, unlink
from tcpscope.replay.near cimport near_body, near_end, near_flow
from tcpscope.replay.observe cimport begin, closed, observe
from tcpscope.replay.resting cimport wake
from tcpscope.replay.run cimport Replay
from tcpscope.replay.services cimport said_keep
from tcpscope.wire.segment cimport Segment


cdef Connection *give_body(Replay *r, Flow *f, const Segment *first) noexcept nogil:
    """A connection for f; NULL when memory runs out."""
    cdef Connection *c = bodies_take(&r.bodies)
    if c == NULL:
        return NULL
    c.flow = f
    f.body = c
    begin(c, first)
    return c


cdef int replay_kept(Replay *r, Flow *f, Connection *c) noexcept nogil:
    """Show c the segments that are kept of f; -1 when memory runs out.  They still are."""
    cdef const Saved *k
    cdef Segment s
    cdef int i
    for i in range(f.n_saved):
        k = saved_at(f, i)
        embryo_segment(f, k, &s)
        if observe(r, c, &s, k.sender, k.order, k.stepped_back, False) < 0:
            return -1
    return 0


cdef Connection *grow_up(Replay *r, Flow *f) noexcept nogil:
    """The connection that an embryo's segments make; NULL when memory runs out.  They are still kept."""
    cdef Connection *c
    cdef Segment s
    embryo_segment(f, saved_at(f, 0), &s)
    c = give_body(r, f, &s)
    return NULL if c == NULL or replay_kept(r, f, c) < 0 else c


cdef Connection *leave_embryo(Replay *r, Flow *f) noexcept nogil:
    """From now on f is a connection."""
    cdef Connection *c = grow_up(r, f)
    embryo_free(&r.saved, f)
    if c != NULL and f.lingering and not closed(c):
        unlink(r, f)
    return c


cdef Connection *unpack(Replay *r, Flow *f) noexcept nogil:
    """f's connection, up to date."""
    cdef Connection *c = wake(r, f)
    if c == NULL or replay_kept(r, f, c) < 0:
        return NULL
    embryo_free(&r.saved, f)
    return c


cdef Connection *connection_of(Replay *r, Flow *f) noexcept nogil:
    """From now on f is a connection, and not packed, if it was not; NULL when memory runs out."""
    if f.body != NULL:
        return f.body
    return unpack(r, f) if f.packed != NULL else leave_embryo(r, f)


cdef int stay_embryo(Replay *r, Flow *f, const Segment *s, int d, uint64_t order, bint stepped_back) noexcept nogil:
    """Keep one more segment of an embryo; where its packet record is wanted, of a connection made for the moment."""
    cdef Connection *c
    if r.want_packets:
        if f.n_saved:
            c = grow_up(r, f)
        else:
            c = give_body(r, f, s)
        if c == NULL or observe(r, c, s, d, order, stepped_back, True) < 0:
            return -1
    if s.hint and not embryo_damaged(f, s, d):
        if said_keep(&f.saids, d, &r.hints[s.hint - 1], embryo_begins(f, s, d)) < 0:
            return -1
    if embryo_keep(&r.saved, f, s, d, order, stepped_back) < 0 or r.live and touch(r, f) < 0:
        return -1
    if r.want_packets:
        shed_body(r, f)
    if not f.lingering and embryo_may_be_closed(f):
        linger(r, f)
    return 0


cdef int64_t due(const Replay *r, const Connection *c) noexcept nogil:
    """When its TIME_WAIT is over: 2 MSL after all that could have begun it, in whatever order it was captured."""
    cdef int64_t latest = c.last_ns
    cdef uint32_t i
    for i in range(c.marks.count):
        latest = max(latest, c.marks.items[i].time_ns)
    return latest + 2 * r.msl_ns


cdef int end_flow(Replay *r, Flow *f) noexcept nogil:
    """As it is now; or was when it was due, if nothing has told that it is overdue."""
    cdef bint late = f.lingering and overdue(r, f)
    cdef Connection *c = connection_of(r, f)
    if c == NULL:
        return -1
    late = late and f.lingering                  # an embryo may not have closed after all
    if f.lingering:
        unlink(r, f)
    return end(r, c, due(r, c) if late else r.now_ns)


cdef int retire_flow(Replay *r, Flow *f) noexcept nogil:
    """End f, which lingers and is overdue, as it was when it was due; if it was closed at all."""
    cdef Connection *c = connection_of(r, f)
    if c == NULL:
        return -1
    if not f.lingering:
        return 0
    unlink(r, f)
    return end(r, c, due(r, c))


cdef int retire(Replay *r) noexcept nogil:
    """End the closed connections whose time has come: as they are then, whenever it is noticed."""
    cdef Flow *f
    cdef const Flow *next
    while r.closed_first != NULL and r.closed_first.linger_until_ns < r.now_ns:
        f = r.closed_first
        near_end(f)
        next = f.after_lingering
        if next != NULL:
            near_body(next)
            if next.after_lingering != NULL:
                near_flow(next.after_lingering)
        if overdue(r, f):
            if retire_flow(r, f) < 0:
                return -1
        else:
            unlink(r, f)
            linger(r, f)
    return 0
