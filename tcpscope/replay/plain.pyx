# cython: wraparound=False, freethreading_compatible=True
"""The usual segment of a connection in which nothing else is going on, at a fraction of the cost.

Header prediction, as kernels have it (Van Jacobson, 1990): nearly every segment either continues its sender's stream
or acknowledges some of the peer's, and means nothing besides.  A connection is calm as long as all observers agree
about where both streams stand, nothing is repaired, probed, closed or opened; then a segment is plain that carries
the next data or a new acknowledgment, and of which no observer would say a word.  The observers' `_plain` functions
do what is left of their work.  What comes out is the same; the tests replay both ways and compare.
"""
from libc.stdint cimport int64_t, uint32_t, uint64_t

from tcpscope.replay.annotations cimport A_OFFLOADED, A_PIGGYBACKED_ACK, bit
from tcpscope.replay.connection cimport N_PIGGYBACKED, Connection
from tcpscope.replay.copies cimport copy_remember
from tcpscope.replay.course cimport PAUSE_NS
from tcpscope.replay.flight cimport STEADY, Finding, Flight, flight_plain_acked, flight_plain_sent
from tcpscope.replay.marks cimport QUIET
from tcpscope.replay.seq cimport after
from tcpscope.replay.speaking cimport spoke
from tcpscope.replay.spending cimport spending_plain
from tcpscope.replay.traffic cimport PROBING, STARTED, WINDOW_SEEN, Traffic, offloaded, traffic_plain
from tcpscope.replay.wireshark cimport QUEUE_MOST, SHIFT_UNKNOWN, Marks, WiresharkSide, window_of, wireshark_plain
from tcpscope.replay.zeek cimport zeek_is_plain, zeek_plain
from tcpscope.wire.segment cimport ACK, OPT_TIMESTAMPS, PSH, SUM_GOOD, TCP_SEGMENT, Segment, congested

cdef enum:
    LARGEST = 1 << 30            # window (RFC 7323, 2.3): within it numbers compare as they should


# ---------------------------------------------------------------- the connection

cdef bint is_calm(const Connection *c) noexcept nogil:
    """Nothing is going on but data and acknowledgments, and every observer knows both streams alike."""
    return (side_is_calm(c, 0) and side_is_calm(c, 1)
            and not c.reset and not c.fin_seen and not c.fins and c.older == NULL
            and (c.syn_ns[1] < 0 or c.ack_ns >= 0) and (c.wireshark.irtt or c.wireshark.syn_when < 0)
            and c.marks.phase == QUIET and c.marks.spoke[0] and c.marks.spoke[1]
            and c.spending.open and not c.spending.reset)


cdef inline bint side_is_calm(const Connection *c, int x) noexcept nogil:
    cdef const Flight *f = &c.flight[x]
    cdef const WiresharkSide *w = &c.wireshark.side[x]
    return (f.phase == STEADY and f.started and f.una_told and not f.probe_out and not f.fin_sent
            and not f.zero_window and not f.last_kind and not f.held_ns and not after(f.una, f.max)
            and w.base_known and w.high == f.max and w.last_win > 0 and w.unacked.disorder == NULL
            and c.wireshark.side[1 - x].last_ack == f.una
            and traffic_is_calm(&c.traffic[x], f)
            and zeek_is_plain(&c.zeek, x, f.una, f.max)
            and c.side[x].ttl and not c.side[x].zero_since_ns and c.spending.side[x].begun)


cdef inline bint traffic_is_calm(const Traffic *t, const Flight *f) noexcept nogil:
    return (t.marks & (STARTED | WINDOW_SEEN | PROBING) == STARTED | WINDOW_SEEN and t.window and not t.probe_end
            and t.una <= t.nxt and <uint32_t>t.una == f.una and <uint32_t>t.nxt == f.max)


# ---------------------------------------------------------------- the segment

cdef inline bint is_plain(const Connection *c, const Segment *s, int d) noexcept nogil:
    """s is next in its sender's stream, has data or a new acknowledgment, and nothing else."""
    cdef const Flight *mine = &c.flight[d]
    cdef const Flight *theirs = &c.flight[1 - d]
    cdef uint32_t news = s.ack - theirs.una, front = c.wireshark.side[1 - d].front
    if (s.flags & ~PSH != ACK or s.options & ~OPT_TIMESTAMPS or s.seq != mine.max or news > theirs.max - theirs.una
            or front and after(s.ack, front) or s.window == 0 or s.ack == 0 or s.checksum_state > SUM_GOOD
            or congested(s) or s.notes or s.hint or s.kind != TCP_SEGMENT
            or not 0 <= s.time_ns - c.last_ns < PAUSE_NS):
        return False
    return has_plain_data(c, s, d) if s.length else news > 0


cdef inline bint has_plain_data(const Connection *c, const Segment *s, int d) noexcept nogil:
    """More than a probe's byte, no more than any window, and not up to the very end of the peer's."""
    cdef const WiresharkSide *peer = &c.wireshark.side[1 - d]
    cdef const Traffic *t = &c.traffic[d]
    return (1 < s.length < LARGEST and s.seq + s.length - c.flight[d].una < LARGEST
            and (s.seq + s.length != peer.last_ack + window_of(peer) or peer.shift == SHIFT_UNKNOWN)
            and c.wireshark.side[d].unacked.count < QUEUE_MOST
            and t.seen.end == t.nxt and t.seen.start != t.seen.end)


cdef int pass_plain(Connection *c, const Segment *s, int d, uint64_t order) noexcept nogil:
    """`observe_plain`, where nobody asks what it found."""
    cdef Marks shown
    cdef Finding f
    f.annotations, f.rtt_ns, f.since_ns = 0, -1, 0
    return look(c, s, d, order, False, &shown, &f)


cdef int observe_plain(Connection *c, const Segment *s, int d, uint64_t order, bint numbers, Marks *shown,
                       Finding *f) noexcept nogil:
    """`observe` of a segment of a calm connection, if it is plain: 1; if it is not: 0, and nothing was done.

    -1 when memory runs out.  The capture's clock had not gone back.  f: cleared, its round trip is -1.
    """
    return look(c, s, d, order, numbers, shown, f)


cdef inline int look(Connection *c, const Segment *s, int d, uint64_t order, bint numbers, Marks *shown,
                     Finding *f) noexcept nogil:
    cdef int64_t dt = s.time_ns - c.last_ns, reach = c.flight[1 - d].rtt_min_ns
    cdef const WiresharkSide *w = &c.wireshark.side[d]
    cdef uint32_t window = s.window if w.shift < 0 else <uint32_t>s.window << w.shift
    if not is_plain(c, s, d) or not flight_plain_acked(&c.flight[1 - d], s, window, reach, f):
        return 0
    if s.length and flight_plain_sent(&c.flight[d], s, order, f) < 0:
        return -1
    copy_remember(&c.flight[d], s)
    if s.checksum_state == SUM_GOOD:
        c.side[d].good_sum = True
    if wireshark_plain(&c.wireshark, s, d, numbers, shown) < 0:
        return -1
    if traffic_plain(&c.traffic[d], &c.traffic[1 - d], s) < 0:
        return -1
    zeek_plain(&c.zeek, s, d)
    c.side[0].unanswered = c.side[1].unanswered = 0
    if f.annotations & bit(A_PIGGYBACKED_ACK):
        c.side[d].counts[N_PIGGYBACKED] += 1
    if s.length:
        if offloaded(&c.traffic[1 - d], s):
            f.annotations |= bit(A_OFFLOADED)
        spoke(c, s, d, True)
    spending_plain(&c.spending, c.flight, c.traffic, s, d, dt, f)
    c.last_ns, c.last_frame = s.time_ns, s.frame
    c.side[d].last_ns = s.time_ns
    return 1
