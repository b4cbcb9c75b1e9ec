# cython: wraparound=False, freethreading_compatible=True
"""When a connection is calm, and what its observers are told when it no longer is.

A connection is calm as long as all observers agree about where both streams stand, and nothing is repaired, probed,
closed or opened.  Then a segment that merely continues is not shown to each of them (plain.pyx): what Wireshark's
observer and the candidates for round trips remember of the segments in flight is what the flight itself remembers, and
is written down there alone.  Before they are asked again they copy it.
"""
from libc.stdint cimport uint8_t, uint32_t

from tcpscope.replay.chunks cimport chunk
from tcpscope.replay.connection cimport Connection
from tcpscope.replay.flight cimport STEADY, Chunk, Flight
from tcpscope.replay.marks cimport QUIET
from tcpscope.replay.plain cimport CALM, DATA, HOLE_OF_CLIENT, HOLE_OF_SERVER, plain_bit, plain_bits
from tcpscope.replay.rtt cimport Sent, candidates_add, candidates_at
from tcpscope.replay.seq cimport after
from tcpscope.replay.traffic cimport ANSWERED, PROBING, SCALED, SCALE_SEEN, STARTED, WINDOW_SEEN, Traffic
from tcpscope.replay.unacked cimport Unacked, unacked_add, unacked_at
from tcpscope.replay.wireshark cimport WiresharkSide, window_of
from tcpscope.replay.zeek cimport zeek_is_plain

cdef enum:
    LOOKS = 64                   # segments in flight that a packet pays for: to compare them, and to copy them later
    LOOKS_MOST = 1 << 16


cdef void calm_look(Connection *c) noexcept nogil:
    """A segment has been shown to all observers: whether the connection is calm now."""
    c.looks = min(c.looks + LOOKS, <uint32_t>LOOKS_MOST)
    c.said = c.calm = 0
    if (side_is_calm(c, 0) and side_is_calm(c, 1)
            and not c.reset and not c.fin_seen and not c.fins and c.older == NULL
            and (c.syn_ns[1] < 0 or c.ack_ns >= 0) and (c.wireshark.irtt or c.wireshark.syn_when < 0)
            and c.marks.phase == QUIET and c.marks.spoke[0] and c.marks.spoke[1]
            and c.spending.open and not c.spending.reset
            and same_in_flight(c, 0) and same_in_flight(c, 1)):
        c.calm = CALM | hole(&c.wireshark.side[0], HOLE_OF_CLIENT) | hole(&c.wireshark.side[1], HOLE_OF_SERVER)


cdef inline uint8_t hole(const WiresharkSide *w, uint8_t bit) noexcept nogil:
    return 0 if w.front == w.high else bit


cdef inline bint side_is_calm(const Connection *c, int x) noexcept nogil:
    cdef const Flight *f = &c.flight[x]
    return (f.phase == STEADY and f.started and f.una_told and not f.probe_out and not f.fin_sent
            and not f.zero_window and not f.last_kind and not f.held_ns and not after(f.una, f.max)
            and traffic_is_calm(&c.traffic[x], &c.traffic[1 - x], f, c.flight[1 - x].peer_window)
            and wireshark_is_calm(&c.wireshark.side[x], f)
            and c.wireshark.side[1 - x].last_ack == f.una
            and window_of(&c.wireshark.side[1 - x]) == f.peer_window
            and zeek_is_plain(&c.zeek, x, f.una, f.max)
            and c.side[x].ttl and not c.side[x].zero_since_ns and c.spending.side[x].begun)


cdef inline bint traffic_is_calm(const Traffic *t, const Traffic *peer, const Flight *f,
                                 uint32_t window) noexcept nogil:
    """window: the one that the side has told, as the flight knows it."""
    return (t.marks & (STARTED | WINDOW_SEEN | ANSWERED | PROBING) == STARTED | WINDOW_SEEN | ANSWERED
            and t.window and t.window == window and t.min_window and t.last_ack == <uint32_t>peer.una
            and (t.marks & SCALED or not t.marks & peer.marks & SCALE_SEEN)
            and not t.probe_end and t.una <= t.nxt and <uint32_t>t.una == f.una and <uint32_t>t.nxt == f.max)


cdef inline bint wireshark_is_calm(const WiresharkSide *w, const Flight *f) noexcept nogil:
    return (w.base_known and w.high and w.high == f.max and w.front and w.last_win > 0
            and w.unacked.disorder == NULL)


cdef bint same_in_flight(Connection *c, int x) noexcept nogil:
    """Flight, Wireshark's observer and the candidates remember the same segments, each sent once."""
    cdef Flight *f = &c.flight[x]
    cdef WiresharkSide *w = &c.wireshark.side[x]
    cdef Traffic *t = &c.traffic[x]
    cdef uint32_t i
    cdef const Chunk *it
    cdef const Unacked *u
    cdef const Sent *sent
    if w.unacked.used != f.live or t.candidates.count != f.live or f.live > c.looks:
        return False
    c.looks -= f.live
    for i in range(f.live):
        it, u, sent = chunk(f, f.old + i), unacked_at(&w.unacked, i), candidates_at(&t.candidates, i)
        if (it.times != 1 or it.bits or u.seq != it.seq or u.end != it.end or u.when != it.first_ns
                or sent.start != it.seq or sent.end != it.end or sent.time_ns != it.first_ns
                or not after(it.end, it.seq)):       # longer than half of all numbers: a header that lies
            return False
    return True


cdef int calm_end(Connection *c) noexcept nogil:
    """Bring up to date who was not shown the plain segments; -1 when memory runs out."""
    c.calm = False
    return -1 if c.said and (copy_side(c, 0) < 0 or copy_side(c, 1) < 0) else 0


cdef int copy_side(Connection *c, int x) noexcept nogil:
    cdef Flight *f = &c.flight[x]
    cdef WiresharkSide *w = &c.wireshark.side[x]
    cdef uint32_t window = c.flight[1 - x].peer_window, told = c.flight[1 - x].una
    cdef Traffic *t = &c.traffic[x]
    cdef uint32_t i
    cdef const Chunk *it
    w.unacked.head = w.unacked.used = w.unacked.count = 0
    t.candidates.head = t.candidates.count = 0
    for i in range(f.live):
        it = chunk(f, f.old + i)
        if unacked_add(&w.unacked, it.first_ns, f.una if after(f.una, it.seq) else it.seq, it.end) < 0:
            return -1
        # of what is acknowledged in part there is no sample (rtt.pyx)
        if not after(f.una, it.seq) and candidates_add(&t.candidates, it.seq, it.end, it.first_ns, True) < 0:
            return -1
    if c.said & plain_bits(1 - x):
        w.lost_pending = False
    if c.said & plain_bits(x):
        w.last_win = <int>(window if w.shift < 0 else window >> w.shift)
        w.last_ack_when, w.last_marks, w.plain_window, w.sack_bytes = c.side[x].last_ns, 0, False, 0
        if w.last_ack != told:
            w.last_ack, w.dups, w.doubt = told, 0, False
    if c.said & plain_bit(x, DATA):
        if w.front == w.high:
            w.front = f.max
        w.high, w.high_when = f.max, f.sent_ns
    return 0
