# cython: wraparound=False, freethreading_compatible=True
"""The usual segment of a connection in which nothing else is going on, at a fraction of the cost.

Header prediction, as kernels have it (Van Jacobson, 1990): nearly every segment either continues its sender's stream
or acknowledges some of the peer's, and means nothing besides.  In a calm connection (calm.pyx) a segment is plain that
carries the next data or a new acknowledgment, and of which no observer would say a word.  Then all that changes is
written down here, or by the observers' `_plain` functions.  What comes out is the same; the tests replay both ways
and compare.
"""
from libc.stdint cimport int64_t, uint32_t, uint64_t

from tcpscope.replay.annotations cimport A_OFFLOADED, A_PIGGYBACKED_ACK, bit
from tcpscope.replay.chunks cimport chunk
from tcpscope.replay.connection cimport N_PIGGYBACKED, Connection
from tcpscope.replay.copies cimport copy_remember
from tcpscope.replay.course cimport PAUSE_NS
from tcpscope.replay.flight cimport DELAYED_LEAST, Chunk, Flight, acknowledged_to
from tcpscope.replay.pace cimport spending_plain
from tcpscope.replay.sacks cimport sample
from tcpscope.replay.sending cimport sent_next
from tcpscope.replay.seq cimport after, before
from tcpscope.replay.speaking cimport spoke
from tcpscope.replay.traffic cimport DATA_SEEN, Traffic, offloaded, traffic_plain
from tcpscope.replay.wireshark cimport COMPLETE_ACK, COMPLETE_DATA, QUEUE_MOST, SHIFT_UNKNOWN
from tcpscope.replay.zeek cimport zeek_met, zeek_plain
from tcpscope.wire.segment cimport (
    ACK, NOTE_ELSEWHERE, OPT_TIMESTAMPS, PSH, SUM_GOOD, TCP_SEGMENT, Segment, congested, spot,
)

cdef enum:
    LARGEST = 1 << 30            # window (RFC 7323, 2.3): within it numbers compare as they should


# ---------------------------------------------------------------- whether it is plain

cdef inline bint is_plain(const Connection *c, const Segment *s, int d) noexcept nogil:
    """s is next in its sender's stream, has data or a new acknowledgment, and nothing else."""
    cdef const Flight *theirs = &c.flight[1 - d]
    cdef uint32_t news = s.ack - theirs.una
    if (s.flags & ~PSH != ACK or s.options & ~OPT_TIMESTAMPS or s.seq != c.flight[d].max
            or news > theirs.max - theirs.una or s.window == 0 or s.ack == 0 or s.checksum_state > SUM_GOOD
            or congested(s) or s.notes & ~NOTE_ELSEWHERE or s.hint or s.kind != TCP_SEGMENT
            or not 0 <= s.time_ns - c.last_ns < PAUSE_NS):
        return False
    if c.calm & (HOLE_OF_CLIENT << (1 - d)) and after(s.ack, c.wireshark.side[1 - d].front):
        return False
    if s.length:
        return has_plain_data(c, s, d)
    # a delayed acknowledgment is told of
    return news > 0 and s.time_ns - theirs.sent_ns - theirs.rtt_min_ns < DELAYED_LEAST


cdef inline bint has_plain_data(const Connection *c, const Segment *s, int d) noexcept nogil:
    """More than a probe's byte, no more than any window, and not up to the very end of the peer's."""
    cdef const Flight *mine = &c.flight[d]
    cdef uint32_t end = s.seq + s.length
    return (1 < s.length < LARGEST and end - mine.una < LARGEST and mine.live < QUEUE_MOST
            and (end != mine.una + mine.peer_window or c.wireshark.side[1 - d].shift == SHIFT_UNKNOWN))


cdef bint meet(Connection *c, int d, int what) noexcept nogil:
    """The first such segment of side d since the connection is calm.  False: it is not plain yet."""
    cdef const Traffic *t = &c.traffic[d]
    if what == DATA and (t.seen.end != t.nxt or t.seen.start == t.seen.end or not t.marks & DATA_SEEN):
        return False
    c.said |= plain_bit(d, what)
    c.wireshark.completeness |= COMPLETE_DATA if what == DATA else COMPLETE_ACK
    zeek_met(&c.zeek, d, what == DATA)
    return True


# ---------------------------------------------------------------- what it changes

cdef inline void acknowledge(Flight *f, const Segment *s, Plain *out) noexcept nogil:
    """s acknowledges some of what f's side has sent."""
    cdef uint32_t n = 0, longest = f.acked_most
    cdef const Chunk *c = NULL
    while n < f.live:
        c = chunk(f, f.old + n)
        if after(c.end, s.ack):
            break
        longest = max(longest, c.end - c.seq)
        n += 1
    if n:
        c = chunk(f, f.old + n - 1)
        out.rtt_ns, out.acked_frame = s.time_ns - c.first_ns, c.last_frame
        if c.end == s.ack:
            out.ack_rtt_ns = out.rtt_ns
            if not before(c.seq, f.una):
                out.sample_ns = max(out.rtt_ns, 0)
        if out.rtt_ns >= 0:
            sample(f, out.rtt_ns)
        f.old += n
        f.live -= n
        f.acked_most = longest
    acknowledged_to(f, s)
    f.news_ns = s.time_ns
    if s.length:
        out.annotations |= bit(A_PIGGYBACKED_ACK)


cdef inline int look(Connection *c, const Segment *s, int d, uint64_t order, Plain *out) noexcept nogil:
    """1: s, of side d, was plain; 0: it is not, and nothing was done; -1 when memory runs out.

    The capture's clock had not gone back.
    """
    cdef int64_t dt = s.time_ns - c.last_ns
    cdef int what = DATA if s.length else ACKS
    cdef Flight *mine = &c.flight[d]
    cdef Flight *theirs = &c.flight[1 - d]
    if not is_plain(c, s, d) or not (c.said & plain_bit(d, what) or meet(c, d, what)):
        return 0
    out.annotations = out.acked_frame = 0
    out.rtt_ns = out.ack_rtt_ns = out.sample_ns = -1
    out.window = s.window if c.wireshark.side[d].shift < 0 else <uint32_t>s.window << c.wireshark.side[d].shift
    if s.ack != theirs.una:
        acknowledge(theirs, s, out)
    theirs.peer_window = out.window
    if s.length and sent_next(mine, s, s.seq + s.length, order, &out.since_ns) < 0:
        return -1
    copy_remember(mine, s)
    if traffic_plain(&c.traffic[d], &c.traffic[1 - d], s, out.window, out.sample_ns) < 0:
        return -1
    zeek_plain(&c.zeek, s, d)
    if s.checksum_state == SUM_GOOD:
        c.side[d].good_sum = True
    c.side[0].unanswered = c.side[1].unanswered = 0
    if out.annotations & bit(A_PIGGYBACKED_ACK):
        c.side[d].counts[N_PIGGYBACKED] += 1
    if s.length:
        if offloaded(&c.traffic[1 - d], s):
            out.annotations |= bit(A_OFFLOADED)
        spoke(c, s, d, True)
    spending_plain(&c.spending, c.flight, c.traffic, s, d, dt, out.rtt_ns, out.since_ns)
    c.last_ns, c.last_frame = s.time_ns, spot(s)
    c.side[d].last_ns = s.time_ns
    return 1


cdef int observe_plain(Connection *c, const Segment *s, int d, uint64_t order, Plain *found) noexcept nogil:
    """`observe` of a segment of a calm connection: 1; 0: it is not plain, and nothing was done; -1: no memory."""
    return look(c, s, 1, order, found) if d else look(c, s, 0, order, found)     # the compiler makes two of it


cdef int pass_plain(Connection *c, const Segment *s, int d, uint64_t order) noexcept nogil:
    """`observe_plain`, where nobody asks what it found."""
    cdef Plain found
    return observe_plain(c, s, d, order, &found)
