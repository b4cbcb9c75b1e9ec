# cython: wraparound=False
"""Which segments bring the first bytes of a side, so that they are looked at and no others are."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcmp

from tcpscope.wire.batch cimport SegmentBatch
from tcpscope.wire.segment cimport SYN, Segment

cdef enum:
    FLOWS = 1 << 14               # remembered; a flow that loses its place to another is looked at once more
    GATHERED = 4096               # bytes of a message that came in several segments
    GATHERS = 64                  # such messages at a time
    MOST_LOOKS = 32               # at such a message: a sender of single bytes costs no more than others
    TOO_FEW = 8                   # bytes to know by that more are worth waiting for

cdef enum:                        # Entry.state: fewer than TRIES, so often looked at; or
    TRIES = 3                     # of a side whose beginning was not seen
    AWAITED = 100                 # its SYN was seen: the first byte has number `want`
    GATHERING = 101               # more of the same message is to begin at `want`
    DONE = 102

cdef struct Entry:
    uint32_t flow
    uint32_t want[2]
    uint8_t state[2]              # by side: 0 is the end with the lower port
    uint8_t said[2]               # the service that its bytes told; 0: none
    uint16_t gather[2]            # place among the messages being gathered

cdef struct Gather:
    uint32_t owner                # place of the entry
    uint32_t flow
    uint8_t side
    uint8_t looks
    uint16_t size
    uint8_t data[GATHERED]

cdef struct Firsts:
    Entry *entries                # NULL: nobody asks for hints
    Gather *gathers
    uint32_t next_gather


cdef inline int side_of(const Segment *s) noexcept nogil:
    if s.sport != s.dport:
        return s.sport > s.dport
    return memcmp(s.src, s.dst, 16) > 0


cdef inline bint firsts_want(const Firsts *f, const Segment *s) noexcept nogil:
    """The segment may be one; of most it takes a look at one entry to say no."""
    cdef const Entry *e
    if s.length == 0:
        return s.flags & SYN
    e = &f.entries[s.flow & (FLOWS - 1)]
    return e.flow != s.flow or e.state[side_of(s)] != DONE


cdef bint firsts_open(Firsts *f) noexcept nogil
cdef void firsts_close(Firsts *f) noexcept nogil
cdef void firsts_see(Firsts *f, SegmentBatch batch, Segment *s, const uint8_t *payload) noexcept nogil
