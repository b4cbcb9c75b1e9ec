"""Who waits for whom: a side's first new data that acknowledge some of the peer's are a reply, and took time."""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from tcpscope.replay.copies cimport ids_skipped
from tcpscope.replay.flight cimport Flight
from tcpscope.replay.seq cimport after
from tcpscope.wire.segment cimport ACK, SYN, Segment, spot

cdef enum:
    NOBODY_YET = 2
    UNHEARD_NS = 500_000_000     # no acknowledgment of data that have come is delayed as long (RFC 9293, 3.8.6.3)

cdef struct Replies:             # of one side
    int64_t data_ns              # its latest data, repeated data included; -1: none
    int64_t sum_ns
    int64_t longest_ns
    uint64_t longest_frame
    uint32_t count
    uint32_t begin               # number of its first data since the peer's
    uint16_t longest_skipped     # IP IDs that are missing right before the longest
    uint16_t first_skipped       # ... before its first data

cdef struct Turns:
    Replies side[2]
    uint8_t talker               # who sent the latest new data; NOBODY_YET


cdef inline void turns_observe(Turns *t, int d, const Segment *s, bint new_data, const Flight *flight,
                               const Flight *asked) noexcept nogil:
    """Side d sent data.  A reply counts from the latest data that the peer sent: what it repeated, it had to.

    Data that cross the peer's are no answer to them: the peer still waits.  Nor is how long it took known where a late
    reply is the first to acknowledge what was asked: that came late, unless what was said before the reply got lost.
    flight: side d's, asked: the peer's.
    """
    cdef Replies *mine = &t.side[d]
    cdef const Replies *theirs = &t.side[1 - d]
    cdef int64_t took
    if mine.data_ns == -1:
        mine.first_skipped = ids_skipped(flight)
    mine.data_ns = s.time_ns
    if not new_data:
        return
    if t.talker == 1 - d:
        if not (s.flags & ACK and after(s.ack, theirs.begin)):
            return
        took = max(s.time_ns - theirs.data_ns, 0)
        if took < UNHEARD_NS or asked.una_ns != s.time_ns or ids_skipped(flight):
            mine.count += 1
            mine.sum_ns += took
            if took > mine.longest_ns or mine.count == 1:
                mine.longest_ns, mine.longest_frame, mine.longest_skipped = took, spot(s), ids_skipped(flight)
    if t.talker != d:
        mine.begin = s.seq + ((s.flags & SYN) >> 1)
    t.talker = <uint8_t>d
