# cython: wraparound=False
"""What the segments ahead will need, brought near (near.pxd) in the order in which one thing leads to the next."""
from libc.stdint cimport uint32_t

from tcpscope.replay.connection cimport Flow
from tcpscope.replay.flows cimport Flows, flows_hash
from tcpscope.replay.near cimport near_body, near_flow, near_kept, near_rings, near_saved, prefetch
from tcpscope.wire.segment cimport Segment

cdef enum:                       # so many segments ahead
    FETCH_SEGMENT = 32           # the segment itself
    FETCH_SLOT = 24              # its place in the table
    FETCH_FLOW = 16
    FETCH_BODY = 10              # the connection
    FETCH_RINGS = 4              # what that remembers of its segments

cdef struct Ahead:
    uint32_t hash[FETCH_SEGMENT]    # of the segments ahead, by their place modulo FETCH_SEGMENT
    uint32_t others              # a bit each, the furthest lowest: of another flow than the two before it
    uint32_t last                # the flows of the two furthest
    uint32_t before


cdef inline void ahead_start(Ahead *a) noexcept nogil:
    a.others = a.last = a.before = 0


cdef inline Flow *flow_ahead(const Ahead *a, const Flows *t, uint32_t i) noexcept nogil:
    """The first flow in the place of the i-th segment; NULL: none."""
    return t.slots[a.hash[i % FETCH_SEGMENT] & t.mask]


cdef inline void ahead_fetch(Ahead *a, const Flows *t, const Segment *s, uint32_t i) noexcept nogil:
    """For the segments after the i-th.  s: the one FETCH_SLOT behind it; NULL: there is none.

    Nothing is fetched for a segment of a flow that was fetched just before.
    """
    cdef Flow *f
    cdef int side
    cdef uint32_t hash
    a.others <<= 1
    if s != NULL:
        if s.flow != a.last and s.flow != a.before:
            a.others |= 1
            hash = flows_hash(t, s)
            a.hash[(i + FETCH_SLOT) % FETCH_SEGMENT] = hash
            prefetch(&t.slots[hash & t.mask])
        a.before, a.last = a.last, s.flow
    if a.others & 1 << (FETCH_SLOT - FETCH_FLOW):
        f = flow_ahead(a, t, i + FETCH_FLOW)
        if f != NULL:
            near_flow(f)
    if a.others & 1 << (FETCH_SLOT - FETCH_BODY):
        f = flow_ahead(a, t, i + FETCH_BODY)
        if f != NULL and f.body != NULL:
            near_body(f)
        elif f != NULL and f.n_saved:
            near_kept(f)
    if a.others & 1 << (FETCH_SLOT - FETCH_RINGS):
        f = flow_ahead(a, t, i + FETCH_RINGS)
        if f != NULL and f.body != NULL:
            for side in range(2):
                near_rings(&f.body.flight[side], &f.body.wireshark.side[side])
        elif f != NULL and f.n_saved:
            near_saved(f)
