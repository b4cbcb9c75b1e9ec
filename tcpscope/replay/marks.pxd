"""The few segments of a connection that can move a state, kept until its states are told."""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from tcpscope.wire.segment cimport Segment

cdef enum:                       # Mark.bits
    MARK_BAD_SUM = 0x01          # the receiver's TCP discards it
    MARK_TIMESTAMPS = 0x02
    MARK_EXACT = 0x04            # of a RST: its number is the next one its receiver expects
    MARK_UNREACHABLE = 0x08      # an ICMP error, not a segment; sender is the side it was sent to report about
    MARK_PROVISIONAL = 0x10      # kept until the same side sends a newer one
    MARK_REUSE = 0x20            # the SYN of the next incarnation: its sender has nothing left of this one
    MARK_UNSEEN = 0x40           # no segment of the capture: inferred (unseen.pyx)
    MARK_ASIDE = MARK_UNREACHABLE | MARK_REUSE

cdef enum:
    MOST = 160                   # marks of a connection

cdef enum:                       # Marks.phase
    OPENING = 0
    QUIET = 1
    CLOSING_DOWN = 2

cdef struct Mark:
    int64_t time_ns              # not before that of the mark before it
    uint64_t order
    uint64_t frame
    uint32_t seq
    uint32_t ack
    uint32_t length              # payload bytes
    uint32_t ts_val
    uint32_t ts_ecr
    uint8_t flags
    uint8_t sender
    uint8_t bits

cdef struct Marks:
    Mark *items
    uint16_t count
    uint16_t room
    uint8_t phase
    uint8_t plain                # segments without SYN kept since the last SYN
    uint8_t spoke[2]             # this side has sent something other than SYN since the last SYN
    uint8_t owes[2]              # this side has not yet acknowledged the peer's latest FIN
    uint32_t fin_end[2]          # number after this side's FIN

cdef bint marks_want(const Marks *m, const Segment *s, int sender, bint ahead, bint tells) noexcept nogil
cdef int marks_keep(Marks *m, const Segment *s, int sender, uint64_t order, uint8_t bits) noexcept nogil
cdef void marks_free(Marks *m) noexcept nogil
