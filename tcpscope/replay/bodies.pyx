# cython: wraparound=False, freethreading_compatible=True
"""The memory of connections, which is used again when they have ended.

What the observers of a connection had allocated stays with it, where it is small: a capture of short connections
would spend more time in malloc() than in some observers.
"""
from libc.string cimport memset

from tcpscope.replay.chunks cimport chunks_free, gone_free
from tcpscope.replay.connection cimport Connection
from tcpscope.replay.copies cimport copies_free
from tcpscope.replay.evidence cimport Evidence, evidence_free
from tcpscope.replay.flight cimport Flight
from tcpscope.replay.marks cimport Marks, marks_free
from tcpscope.replay.pool cimport Pool, pool_close, pool_give, pool_open, pool_take
from tcpscope.replay.rtt cimport RoundTrips
from tcpscope.replay.traffic cimport traffic_free, traffic_shed
from tcpscope.replay.unacked cimport Queue
from tcpscope.replay.wireshark cimport wireshark_free

cdef enum:
    SMALL = 16                   # entries that are kept


cdef void bodies_open(Pool *p) noexcept nogil:
    pool_open(p, sizeof(Connection))


cdef Connection *bodies_take(Pool *p) noexcept nogil:
    """A zeroed connection, but for room that it may have; NULL when memory runs out."""
    cdef Connection *c = <Connection *>pool_take(p)
    cdef Flight flight[2]
    cdef Queue queue[2]
    cdef RoundTrips rtt[2]
    cdef Evidence evidence
    cdef Marks marks
    cdef int side
    if c == NULL:
        return NULL
    evidence, marks = c.evidence, c.marks
    for side in range(2):
        flight[side], queue[side] = c.flight[side], c.wireshark.side[side].unacked
        rtt[side] = c.traffic[side].rtt
    memset(c, 0, sizeof(Connection))
    c.evidence.items, c.evidence.room = evidence.items, evidence.room
    c.marks.items, c.marks.room = marks.items, marks.room
    for side in range(2):
        c.flight[side].ring, c.flight[side].room = flight[side].ring, flight[side].room
        c.wireshark.side[side].unacked.ring = queue[side].ring
        c.wireshark.side[side].unacked.room = queue[side].room
        c.traffic[side].rtt.firsts, c.traffic[side].rtt.room = rtt[side].firsts, rtt[side].room
    return c


cdef void bodies_give(Pool *p, Connection *c) noexcept nogil:
    cdef int side
    for side in range(2):
        traffic_shed(&c.traffic[side])
        copies_free(&c.flight[side])
        gone_free(&c.flight[side])
    if (c.evidence.room > SMALL or c.marks.room > SMALL or c.flight[0].room > SMALL or c.flight[1].room > SMALL
            or c.wireshark.side[0].unacked.room > SMALL or c.wireshark.side[1].unacked.room > SMALL
            or c.wireshark.side[0].unacked.disorder != NULL or c.wireshark.side[1].unacked.disorder != NULL):
        free_rooms(c)
    pool_give(p, c)


cdef void free_rooms(Connection *c) noexcept nogil:
    wireshark_free(&c.wireshark)
    marks_free(&c.marks)
    evidence_free(&c.evidence)
    for side in range(2):
        chunks_free(&c.flight[side])
        traffic_free(&c.traffic[side])


cdef void bodies_close(Pool *p) noexcept nogil:
    """All connections have been given back."""
    cdef void *piece = p.spare
    while piece != NULL:
        free_rooms(<Connection *>piece)
        piece = (<void **>piece)[0]
    pool_close(p)
