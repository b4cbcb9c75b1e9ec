# cython: wraparound=False, freethreading_compatible=True
"""Wireshark's TCP analysis (tshark 4.0, one pass, default preferences), segment by segment.

These are Wireshark's judgements, not tcpscope's: they go into the column `wireshark` and let
a reader compare.  The order of the tests, and what a packet leaves behind, decide the result,
so both are kept as Wireshark has them, its oddities included (a number of 0 counts as unset;
`ack` is used as it stands even without the ACK flag; one hole is reported once).
"""
from tcpscope.replay.seq cimport after, before
from tcpscope.replay.unacked cimport unacked_add, unacked_forget, unacked_free, unacked_span
from tcpscope.wire.segment cimport ACK, FIN, OPT_SACK, OPT_WSCALE, RST, SYN, Segment

cdef enum:
    FAST_WITHIN = 20_000_000     # ns since the acknowledgment, for a fast retransmission
    NEAR_WITHIN = 3_000_000      # ns; stands in for an unknown initial RTT
    MOST_SHIFT = 14              # RFC 7323, 2.3


cdef void wireshark_start(Wireshark *w, const Segment *s, int sender) noexcept nogil:
    """Begin zeroed memory with a stream's first packet; if it acknowledges, it tells the other side's numbers too."""
    w.syn_when = -1
    for i in range(2):
        w.side[i].last_win = -1
        w.side[i].shift = SHIFT_UNKNOWN
    set_base(w, s, sender)


cdef inline void set_base(Wireshark *w, const Segment *s, int sender) noexcept nogil:
    cdef WiresharkSide *f = &w.side[sender]
    cdef WiresharkSide *r = &w.side[1 - sender]
    if not f.base_known:
        f.base = s.seq if s.flags & SYN else s.seq - 1
        f.base_known = True
    if not r.base_known and s.flags & ACK:
        r.base = s.ack - 1
        r.base_known = True


cdef void wireshark_free(Wireshark *w) noexcept nogil:
    for i in range(2):
        unacked_free(&w.side[i].unacked)


cdef uint32_t in_flight(const WiresharkSide *f, const WiresharkSide *r, const Segment *s) noexcept nogil:
    """Largest end less smallest start, less what the peer's latest packet has SACKed; 0: not shown."""
    cdef int64_t size
    if not f.unacked.count:
        return 0
    size = <int64_t>unacked_span(&f.unacked)
    if s.flags & (SYN | FIN):
        size -= 1
    size -= r.sack_bytes
    return <uint32_t>size if size > 0 else 0


# ---------------------------------------------------------------- the tests

cdef uint32_t retransmission(Wireshark *w, WiresharkSide *f, WiresharkSide *r, const Segment *s,
                             uint32_t end) noexcept nogil:
    """Test 11: at most one of the family, the first that fits."""
    cdef bint behind = f.high != 0 and before(s.seq, f.high)
    if s.length > 1 and s.seq == f.high - 1:
        behind = False              # repeats the byte of a window probe and adds new data
    if s.length and r.last_ack and not after(s.seq + s.length, r.last_ack):
        return WS_SPURIOUS_RETRANSMISSION | WS_RETRANSMISSION
    if not behind:
        return 0
    if ((r.dups >= 2 or r.doubt) and s.seq == r.last_ack
            and 0 <= s.time_ns - r.last_ack_when < FAST_WITHIN):
        return WS_FAST_RETRANSMISSION | WS_RETRANSMISSION
    if (0 <= s.time_ns - f.high_when < (w.irtt if w.irtt else NEAR_WITHIN)) and end != f.high:
        return WS_OUT_OF_ORDER
    return WS_RETRANSMISSION


cdef int wireshark_observe(Wireshark *w, const Segment *s, int sender, bint numbers, Marks *out) noexcept nogil:
    """Judge one packet and remember it; -1 when memory runs out.  numbers: bytes in flight as well."""
    cdef WiresharkSide *f = &w.side[sender]
    cdef WiresharkSide *r = &w.side[1 - sender]
    cdef bint special = (s.flags & (SYN | FIN | RST)) != 0
    cdef uint32_t end = s.seq + s.length + (1 if s.flags & (SYN | FIN) else 0)
    cdef uint32_t marks = 0
    cdef bint repeats_state             # an ACK that says nothing new but perhaps its window
    cdef int64_t rtt

    out.duplicate_ack_num = 0
    set_base(w, s, sender)
    if s.flags & (SYN | ACK) == SYN | ACK and s.seq != f.base:
        marks |= WS_REUSED_PORTS
        f.base = s.seq

    repeats_state = (s.length == 0 and s.seq == f.high and s.ack == f.last_ack and not special)
    if s.length == 1 and s.seq == f.high and r.last_win == 0:
        marks |= WS_ZERO_WINDOW_PROBE
    else:
        if s.window == 0 and not special:
            marks |= WS_ZERO_WINDOW
        if f.high and after(s.seq, f.high) and not s.flags & RST:
            marks |= WS_LOST_SEGMENT
        if s.length <= 1 and s.seq == f.high - 1 and not special:
            marks |= WS_KEEP_ALIVE
        if repeats_state and s.window and s.window != f.last_win:
            marks |= WS_WINDOW_UPDATE
        if (s.length and not special and r.shift != SHIFT_UNKNOWN and r.last_win >= 0
                and s.seq + s.length == r.last_ack + window_of(r)):
            marks |= WS_WINDOW_FULL
        if repeats_state and s.window == f.last_win:
            if s.window and r.last_marks & WS_KEEP_ALIVE:
                marks |= WS_KEEP_ALIVE_ACK
            elif s.window == 0 and r.last_marks & WS_ZERO_WINDOW_PROBE:
                marks |= WS_ZERO_WINDOW_PROBE_ACK
            elif s.window:
                f.dups += 1
                marks |= WS_DUPLICATE_ACK
                out.duplicate_ack_num = f.dups
    if s.ack != f.last_ack:
        f.dups = 0

    if s.flags & ACK and r.front and after(s.ack, r.front):
        if r.front != r.high:
            marks |= WS_ACK_LOST_SEGMENT
            r.front = r.high
        else:
            if r.dups == 0 and not r.doubt:
                marks |= WS_ACK_LOST_SEGMENT
            r.doubt = True
            r.dups = 0

    if (s.length or s.flags & (SYN | FIN)) and not marks & WS_KEEP_ALIVE:
        marks |= retransmission(w, f, r, s, end)

    # what the packet leaves behind, in this order
    if not marks & WS_ZERO_WINDOW_PROBE and (f.high == 0 or after(end, f.high)):
        f.high = end
        f.high_when = s.time_ns
    if s.ack != f.last_ack or marks & WS_DUPLICATE_ACK:
        f.doubt = False
    if (not marks & WS_ZERO_WINDOW_PROBE and (f.front == 0 or s.seq == f.front)
            and f.unacked.count < QUEUE_MOST):
        f.front = f.high
    f.last_win, f.last_ack, f.last_ack_when = s.window, s.ack, s.time_ns
    f.last_marks = <uint16_t>marks
    out.window = show_window(f, s)
    learn_window_scale(f, r, s)
    learn_initial_rtt(w, s)
    out.irtt = w.irtt

    rtt = unacked_forget(&r.unacked, s.ack, s.time_ns)
    out.ack_rtt = rtt if rtt > 0 else 0
    if s.flags & ACK:
        r.lost_pending = False
    if marks & WS_LOST_SEGMENT:
        f.lost_pending = True
    out.bytes_in_flight = 0
    if (s.length or s.flags & (SYN | FIN)) and f.unacked.count < QUEUE_MOST:
        if unacked_add(&f.unacked, s.time_ns, s.seq, end) < 0:
            return -1
    if numbers and s.length and not f.lost_pending:
        out.bytes_in_flight = in_flight(f, r, s)
    f.sack_bytes = sacked(s)
    complete(w, s)
    out.marks = marks
    return 0


cdef inline uint32_t sacked(const Segment *s) noexcept nogil:
    cdef uint32_t total = 0
    cdef int i
    if s.options & OPT_SACK:
        for i in range(min(s.n_sack, 3)):
            total += s.sack[2 * i + 1] - s.sack[2 * i]
    return total


cdef inline uint32_t show_window(const WiresharkSide *f, const Segment *s) noexcept nogil:
    if s.flags & SYN or f.shift < 0:
        return s.window
    return <uint32_t>s.window << f.shift


cdef inline void learn_window_scale(WiresharkSide *f, WiresharkSide *r, const Segment *s) noexcept nogil:
    if s.options & OPT_WSCALE:
        if s.flags & (SYN | ACK) == SYN | ACK and r.shift == SHIFT_REFUSED:
            f.shift = SHIFT_REFUSED
        else:
            f.shift = <int8_t>min(s.window_scale, MOST_SHIFT)
    elif s.flags & SYN and f.shift == SHIFT_UNKNOWN:
        f.shift = r.shift = SHIFT_REFUSED
    if s.flags & (SYN | ACK) == SYN | ACK:
        f.plain_window = True
    elif s.flags & (SYN | ACK) == ACK:
        f.plain_window = False


cdef inline void learn_initial_rtt(Wireshark *w, const Segment *s) noexcept nogil:
    if s.flags & (SYN | ACK) == SYN:
        w.syn_when = s.time_ns
    elif s.flags & (SYN | ACK) == ACK and w.irtt == 0 and w.syn_when >= 0:
        w.irtt = s.time_ns - w.syn_when


cdef inline void complete(Wireshark *w, const Segment *s) noexcept nogil:
    cdef uint8_t seen = 0
    if s.flags & SYN:
        seen = COMPLETE_SYN_ACK if s.flags & ACK else COMPLETE_SYN
    elif s.flags & ACK and s.length == 0:
        seen = COMPLETE_ACK
    if s.length:
        seen |= COMPLETE_DATA
    if s.flags & FIN:
        seen |= COMPLETE_FIN
    if s.flags & RST:
        seen |= COMPLETE_RST
    w.completeness |= seen
