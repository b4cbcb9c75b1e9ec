# cython: wraparound=False, freethreading_compatible=True
"""Selective acknowledgments (RFC 2018), and what they tell of copies that were not needed (RFC 2883)."""
from libc.stdint cimport uint32_t

from tcpscope.replay.annotations cimport A_DSACK, A_SPURIOUS_RETRANSMISSION, bit
from tcpscope.replay.chunks cimport LEAST_SPARE, chunk, chunk_gone, place, take_one
from tcpscope.replay.flight cimport (
    ANSWER_LOST, BY_RTO, BY_TIMER, LATE_ANSWER, OVERTAKEN, SACKED, SPURIOUS, Chunk, Finding, Flight,
)
from tcpscope.replay.seq cimport after, before
from tcpscope.wire.segment cimport Segment


cdef void told_spurious(Flight *f, Chunk *c, int why, Finding *out) noexcept nogil:
    """The peer tells that it needed only one copy of c.  why: a timer sent the other."""
    if c.times > 1 and not c.bits & SPURIOUS:
        c.bits |= SPURIOUS
        f.needless[why if c.bits & BY_TIMER else OVERTAKEN] += 1
        f.needless_rtos += c.bits & BY_RTO != 0
        out.late_order, out.late_frame = c.last_order, c.last_frame
        out.late_bits |= bit(A_SPURIOUS_RETRANSMISSION)


cdef bint is_dsack(const Segment *s) noexcept nogil:
    """RFC 2883, 4: the first block lies below the acknowledgment, or within the second."""
    if not after(s.sack[1], s.ack):
        return True
    return (s.n_sack > 1 and not before(s.sack[0], s.sack[2]) and not after(s.sack[1], s.sack[3]))


cdef bint take_sacks(Flight *f, const Segment *s, Finding *out) noexcept nogil:
    """Mark what the blocks cover; True if they told something new."""
    cdef bint new = False
    cdef uint32_t i, left, right, looked
    cdef int b, first = 0
    cdef Chunk *c
    f.spare += SPARE
    if is_dsack(s):
        out.annotations |= bit(A_DSACK)
        first = 1
        i = place(f, s.sack[0])
        if i < f.old + f.live and before(chunk(f, i).seq, s.sack[1]):
            # where nothing else had acknowledged it, no answer to the first copy came
            told_spurious(f, chunk(f, i), ANSWER_LOST if i >= f.old else LATE_ANSWER, out)
        elif f.n_gone:
            c = chunk_gone(f, s.sack[0], s.sack[1])
            if c != NULL:
                told_spurious(f, c, LATE_ANSWER, out)
    for b in range(first, s.n_sack):
        left, right = s.sack[2 * b], s.sack[2 * b + 1]
        if not after(right, f.una) or after(right, f.max):
            continue
        if f.sack_high == 0 or after(right, f.sack_high):
            f.sack_high = right
        i = place(f, left)
        looked = 0
        while i < f.old + f.live:
            c = chunk(f, i)
            if after(c.end, right):
                break
            if before(c.seq, left):
                i += 1              # a super-frame of which only the end arrived
                continue
            if not c.bits & SACKED:
                c.bits |= SACKED
                f.acked_most = max(f.acked_most, c.end - c.seq)
                new = True
                if c.times == 1:
                    sample(f, s.time_ns - c.first_ns)
            elif b > first:
                break               # blocks behind the first repeat what was told before
            elif not before(c.seq, f.told_from) and not after(c.end, f.told_to):
                i = max(i + 1, place(f, f.told_to))
                continue            # all of that is marked
            else:
                looked += 1
                if looked > LEAST_SPARE and not take_one(f):
                    out.in_part = True
                    break
            i += 1
        if b == first and not out.in_part:
            remember_told(f, left, right)
    return new


cdef inline void remember_told(Flight *f, uint32_t left, uint32_t right) noexcept nogil:
    """The chunks from left to right are marked: join that to what is known to be, or know that instead."""
    if after(left, f.told_to) or before(right, f.told_from) or f.told_from == f.told_to:
        f.told_from, f.told_to = left, right
        return
    if before(left, f.told_from):
        f.told_from = left
    if after(right, f.told_to):
        f.told_to = right
