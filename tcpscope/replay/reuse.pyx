# cython: wraparound=False, freethreading_compatible=True
"""What a SYN on the ports of an earlier connection means for that one.

May the other side, perhaps in TIME_WAIT, take it?  With a later time stamp (RFC 6191), or with a higher number
(RFC 1122, 4.2.2.13) and no older time stamp; else it cannot tell it from an old duplicate.
"""
from libc.stdint cimport uint8_t

from tcpscope.replay.connection cimport Connection
from tcpscope.replay.course cimport REUSE_LATER, REUSE_OPEN, REUSE_RISKY, REUSE_SAFE
from tcpscope.replay.flight cimport Flight
from tcpscope.replay.seq cimport after, before
from tcpscope.wire.segment cimport OPT_TIMESTAMPS, Segment


cdef uint8_t reuse_of(const Connection *c, const Segment *s, int d) noexcept nogil:
    """Side d of c sends this SYN, which begins the four-tuple anew."""
    cdef const Flight *mine = &c.flight[d]
    if not c.reset and c.fins != 3:
        return REUSE_OPEN
    if c.reset:
        return REUSE_LATER               # nothing rests in TIME_WAIT
    if mine.has_ts and s.options & OPT_TIMESTAMPS:
        if after(s.ts_val, mine.top_ts):
            return REUSE_SAFE
        if before(s.ts_val, mine.top_ts):
            return REUSE_RISKY           # an old segment, by its time stamp, whatever its number (RFC 7323, 5)
    return REUSE_SAFE if after(s.seq, mine.max) else REUSE_RISKY
