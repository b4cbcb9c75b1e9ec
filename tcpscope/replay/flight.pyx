# cython: wraparound=False, freethreading_compatible=True
"""What a side has in flight, what the peer says of it, and what a segment is that lies behind what was sent before.

A packet may concern many chunks: it fills a hole in front of them, it covers them once more, its SACK block
spans them.  What that costs is paid from what earlier packets left (SPARE each), so that no sender can make a
packet cost more than so much in the long run; past that the rest of the chunks is left as it was (`in_part`).

What only looks like one: the same packet seen twice (same IP ID, same checksum), and a packet
that was sent before what the capture has already shown (older IP ID or timestamp): reordering.
"""
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t

from tcpscope.replay.annotations cimport (
    A_ACK_LOST_SEGMENT, A_DELAYED_ACK, A_DUPLICATE_CAPTURE, A_FIN_RETRANSMISSION, A_KEEP_ALIVE, A_LOST_SEGMENT,
    A_NETWORK_DUPLICATE, A_OUT_OF_ORDER, A_PIGGYBACKED_ACK, A_RETRANSMISSION, A_SIMULTANEOUS_OPEN,
    A_SPURIOUS_RETRANSMISSION, A_SYN_ACK_RETRANSMISSION, A_SYN_RETRANSMISSION, A_ZERO_WINDOW_PROBE, bit, by_timer,
    causes,
)
from tcpscope.replay.cause cimport cause
from tcpscope.replay.chunks cimport (
    LEAST_SPARE, NO_MEMORY, TOO_DEAR, append, chunk, divide, divisible, fill, insert, place, take_one,
)
from tcpscope.replay.copies cimport COPY_WITHIN_NS, ELSEWHERE_NS, SAME_CAPTURE_NS, copies_come_late, identified
from tcpscope.replay.sacks cimport sample, take_sacks, told_spurious
from tcpscope.replay.sending cimport sent_next, watch_order
from tcpscope.replay.seq cimport after, before
from tcpscope.wire.segment cimport ACK, FIN, OPT_SACK, OPT_SACK_PERMITTED, OPT_TIMESTAMPS, RST, SYN, Segment, spot

cdef enum:
    MS = 1_000_000
    CROSSED_NS = 3 * MS              # between the queues or taps of two directions
    PIECES = 64                  # of a super-frame, at most


# ---------------------------------------------------------------- the peer acknowledges

cdef inline bint only_asked(Flight *f) noexcept nogil:
    """Nothing but a SYN was sent, and that not answered."""
    return f.live == 1 and chunk(f, f.old).bits & BARE_SYN and chunk(f, f.old).end == f.max


cdef int flight_acked(Flight *f, const Segment *s, uint32_t window, int64_t reach, Finding *out) noexcept nogil:
    """The peer of f's sender sent s: what it tells about f's data.  reach: to that peer and back."""
    cdef Chunk *c
    cdef bint news = False, moved = False, repeated = False, needless = False
    cdef uint32_t oldest
    cdef int64_t delay
    if s.options & OPT_SACK_PERMITTED:
        f.sack_ok = True
    if not s.flags & ACK or s.flags & RST:
        return 0
    out.is_old = f.una_told and before(s.ack, f.una)
    if s.options & OPT_SACK and s.n_sack and f.started:
        news = take_sacks(f, s, out)
    if not s.flags & SYN or f.started:
        if window == 0:
            f.opened_ns = 0
        elif f.zero_window and f.last_kind == SAID_PROBE:
            f.opened_ns = s.time_ns
            f.found_open += s.time_ns - f.probed_ns <= f.rtt_min_ns + f.rtt_min_ns // 2
        f.zero_window = window == 0
        f.peer_window = window
    if not f.started:
        if f.una_told and after(s.ack, f.una):
            f.una_ns = s.time_ns
        f.una, f.una_told = s.ack, True
        return 0
    if not s.flags & SYN and only_asked(f) and s.ack - f.una - 1 >= f.max - f.una:
        return 0                                    # an old connection's: it acknowledges nothing here (3.10.7.3)
    if not f.una_told and not after(s.ack, f.una):
        f.una, f.una_told = s.ack, True             # what the capture saw first was not the oldest outstanding
    f.una_told = True
    if after(s.ack, f.una):
        moved = True
        oldest = f.una
        while f.live:
            c = chunk(f, f.old)
            if after(c.end, s.ack):
                break
            if c.times > 1:
                repeated = True
                if f.srtt_ns == 0:
                    f.opening_ns = s.time_ns - c.first_ns
                # Eifel, RFC 3522: the answer is to the first copy; of several it echoes the oldest (RFC 7323, 4.3)
                if (not c.bits & IN_PART and s.options & OPT_TIMESTAMPS and c.last_ts != c.first_ts
                        and before(s.ts_ecr, c.last_ts) and not before(s.ts_ecr, c.first_ts)
                        and not after(c.seq, oldest)):
                    told_spurious(f, c, LATE_ANSWER, out)
            elif not c.bits & SACKED:
                out.rtt_ns = s.time_ns - c.first_ns
                if f.phase == LOSS and not after(c.end, f.high_seq):
                    needless = True                 # F-RTO, RFC 5682: the original arrived, the time-out was needless
            out.acked_frame = c.last_frame
            f.acked_most = max(f.acked_most, c.end - c.seq)
            f.old += 1
            f.live -= 1
        if repeated:
            out.rtt_ns = -1                         # Karn
        if out.rtt_ns >= 0:
            sample(f, out.rtt_ns)
        acknowledged_to(f, s)
        if after(f.una, f.max):
            out.annotations |= bit(A_ACK_LOST_SEGMENT)
            f.max = f.una                           # acknowledged, though the capture has not seen it
            f.holes = 0
        if f.phase != STEADY and (needless or not before(f.una, f.high_seq)):
            if f.phase == RECOVERY:
                f.cut_from += f.entry_bytes
                f.cut_to += f.max - f.una
            f.phase = STEADY
        if f.probe_out and not before(f.una, f.probe_end):
            f.probe_out = False
        if s.length:
            out.annotations |= bit(A_PIGGYBACKED_ACK)
        elif not s.flags & (SYN | FIN) and s.time_ns - f.sent_ns - reach >= DELAYED_LEAST:
            out.annotations |= bit(A_DELAYED_ACK)   # RFC 9293, 3.8.6.3: a timer, no second segment, brought it
            f.held_ns = f.sent_ns
            delay = s.time_ns - f.sent_ns - reach
            f.n_delayed += 1
            f.delayed_ns += delay
            f.delayed_most_ns = max(f.delayed_most_ns, delay)
    elif s.ack == f.una and s.length == 0 and f.live and not s.flags & (SYN | FIN):
        f.dup_acks += 1
        news = True
    if news or moved:
        f.news_ns = s.time_ns
    return 0


# ---------------------------------------------------------------- the side sends

cdef int sent_before(const Flight *f, const Segment *s) noexcept nogil:
    """1: s was sent before the newest segment seen, so the network reordered them; 0: after; -1: cannot be told."""
    cdef int32_t step
    if f.ids == 1 and identified(s):
        step = <int32_t><int16_t>(s.ip_id - f.top_id)
        if -1024 < step < 0:
            return 1
        if 0 < step < 1024:
            return 0
    if f.has_ts and s.options & OPT_TIMESTAMPS:
        if before(s.ts_val, f.top_ts):
            return 1
        if after(s.ts_val, f.top_ts):
            return 0
    return -1


cdef inline void overtaken(Flight *f, const Segment *s, uint32_t i) noexcept nogil:
    """How far, and how late: after its successor, the chunk at i, passed."""
    f.n_late += 1
    f.late_bytes = max(f.late_bytes, f.max - s.seq)
    if i < f.old + f.live and not before(chunk(f, i).seq, s.seq + s.length):
        f.late_ns = max(f.late_ns, s.time_ns - chunk(f, i).first_ns)


cdef inline uint64_t again(const Segment *s) noexcept nogil:
    cdef uint64_t bits = bit(A_RETRANSMISSION)
    if s.flags & SYN:
        bits |= bit(A_SYN_ACK_RETRANSMISSION) if s.flags & ACK else bit(A_SYN_RETRANSMISSION)
    if s.flags & FIN:
        bits |= bit(A_FIN_RETRANSMISSION)
    return bits


cdef bint known_syn(Flight *f, uint32_t seq) noexcept nogil:
    """A SYN of this number was sent before, or belongs before all that is known."""
    cdef uint32_t i = place(f, seq)
    return (i < f.old + f.live and chunk(f, i).seq == seq) or seq == f.una - 1


cdef bint flight_stray(Flight *f, const Segment *s) noexcept nogil:
    """A SYN-ACK of another number than the one that the peer has acknowledged: an old one, or another host's."""
    return s.flags & (SYN | ACK) == SYN | ACK and f.started and f.una_ns and not known_syn(f, s.seq)


cdef bint all_told(Flight *f, uint32_t i, uint32_t seq, uint32_t end) noexcept nogil:
    """The peer has told by SACK that it has all from seq, which lies within chunk i or in front of it, to end."""
    cdef Chunk *c
    cdef uint32_t looked = 0
    while i < f.old + f.live and looked < LEAST_SPARE:
        c = chunk(f, i)
        if i >= f.old and (before(seq, c.seq) or not c.bits & SACKED):
            return False
        if not before(c.end, end):
            return True
        seq = c.end
        i += 1
        looked += 1
    return False


cdef inline void start(Flight *f, uint32_t seq) noexcept nogil:
    """The first number seen; the peer may have told an older one that is still outstanding."""
    f.started = True
    f.max = seq
    if not f.una_told or after(f.una, seq):
        f.una = seq


cdef inline void probed(Flight *f, const Segment *s, int64_t reach) noexcept nogil:
    """f's side probes the peer's window; if it has been opened long ago, the side has not heard of that."""
    f.last_kind, f.probed_ns = SAID_PROBE, s.time_ns
    if f.opened_ns and reach and s.time_ns - f.opened_ns > reach + max(reach, 10 * MS):
        f.unheard += 1
        f.opened_ns = 0


cdef inline bint is_copy(const Chunk *c, const Segment *s) noexcept nogil:
    return c.checksum == s.checksum and c.ip_id == s.ip_id and c.seq == s.seq and (
        s.time_ns - c.last_ns < COPY_WITHIN_NS if identified(s) else
        (s.time_ns - c.last_ns < MS and c.last_ts == s.ts_val))


cdef inline bint is_piece(const Chunk *c, const Segment *s, uint32_t end) noexcept nogil:
    """On its way out a forwarding host has divided what stood in the capture as one on its way in, or put it together.

    The pieces have one IP ID after the other; the checksum of the whole may not have been the real one.
    """
    cdef uint32_t at = s.seq - c.seq, step = (s.ip_id - c.ip_id) & 0xFFFF
    return (s.length and identified(s) and not after(c.seq, s.seq) and (at == 0 or not after(end, c.end))
            and (step == 0) == (at == 0) and step <= PIECES and <uint64_t>step * s.length <= at)


cdef inline bint captured_elsewhere(const Flight *f, const Chunk *c, const Segment *s, uint32_t end) noexcept nogil:
    """Known data that were sent before the newest, of a connection whose packets come again late: divided otherwise."""
    return s.length and not after(end, f.max) and s.time_ns - c.last_ns < ELSEWHERE_NS and sent_before(f, s) == 1


cdef inline bint acknowledged_before(const Flight *f, const Segment *s, uint32_t end, int64_t reach) noexcept nogil:
    """It lies behind all that was captured of its side, and was acknowledged just now: the capture had missed it.

    Where each direction has a queue or a tap of its own, an acknowledgment may be captured before what it
    acknowledges; a repetition would come later.
    """
    cdef int64_t soon = min(reach // 2, CROSSED_NS) if reach > 0 else MS
    return (f.una_told and not f.live and not after(end, f.una) and s.time_ns - f.una_ns <= soon
            and f.old and not before(s.seq, chunk(f, f.old - 1).end))


cdef int flight_sent(Flight *f, const Segment *s, uint64_t order, int64_t reach, Finding *out) noexcept nogil:
    """f's side sent s.  reach: from the capture point to that side and back."""
    cdef uint32_t end = s.seq + s.length + ((s.flags & SYN) >> 1) + (s.flags & FIN)
    cdef uint32_t i, hole, free_ones
    cdef bint crossed
    cdef int64_t told_ns
    cdef Chunk *c = NULL
    cdef int order_told, part
    cdef int result = 0
    cdef uint8_t probe = 0
    cdef bint probing = f.zero_window or f.last_kind == SAID_PROBE      # a probe and no data since: it waits still
    f.last_kind = 0
    if not out.is_old and f.started and s.flags & (SYN | FIN | RST) == 0 and s.length <= 1 and s.seq == f.una - 1 and (
            s.length == 0 or not f.live) and f.una == f.max or (
            f.started and s.length == 0 and s.flags & (SYN | FIN | RST) == 0 and s.seq == f.una - 1 and f.zero_window):
        out.annotations |= bit(A_ZERO_WINDOW_PROBE if probing else A_KEEP_ALIVE)
        if probing:
            probed(f, s, reach)
        else:
            f.last_kind = SAID_KEEP_ALIVE
        return 0
    if end == s.seq or s.flags & RST:
        if s.flags & RST or not s.flags & ACK:
            return 0
        if not f.started:
            start(f, s.seq)                         # the capture begins in the middle
        elif after(s.seq, f.max):
            out.annotations |= bit(A_LOST_SEGMENT)  # it numbers from behind data that was not seen
            f.holes += s.seq - f.max
            f.hole_ns = s.time_ns
            f.max = s.seq
        return 0
    if not f.started:
        start(f, s.seq)
        if not s.flags & SYN and s.options & OPT_TIMESTAMPS:
            f.sack_ok = True                        # the SYN was not seen: hosts that know the one know the other
    elif s.flags & SYN and not known_syn(f, s.seq):
        f.old = f.live = f.head = 0                 # another incarnation: it begins with other numbers
        f.told_from = f.told_to = 0
        f.una_told = False
        start(f, s.seq)
    if s.flags & FIN:
        f.fin_sent = True
    if not before(s.seq, f.max):
        if f.zero_window and s.length == 1 and s.seq == f.max and not s.flags & (SYN | FIN):
            out.annotations |= bit(A_ZERO_WINDOW_PROBE)
            probed(f, s, reach)
            probe = PROBE
        if s.seq != f.max:
            out.annotations |= bit(A_LOST_SEGMENT)
            f.holes += s.seq - f.max
            f.hole_ns = s.time_ns
        result = sent_next(f, s, end, order, &out.since_ns)
        if result == 0:
            chunk(f, f.old + f.live - 1).bits |= probe
        return result

    # behind what was sent before: again, out of order, or a copy
    i = place(f, s.seq)
    if i < f.old + f.live and before(chunk(f, i).seq, end):
        c = chunk(f, i)
    if c != NULL and f.many != NULL and captured_elsewhere(f, c, s, end):
        out.annotations |= bit(A_DUPLICATE_CAPTURE)
        return 0
    if c != NULL and (is_copy(c, s) or s.time_ns - c.last_ns < MS and not after(end, f.max) and is_piece(c, s, end)):
        if s.time_ns - c.last_ns < SAME_CAPTURE_NS:
            out.annotations |= bit(A_DUPLICATE_CAPTURE)
        else:
            out.annotations |= bit(A_NETWORK_DUPLICATE)
            copies_come_late(f, False)
        return 0
    if c != NULL and c.bits & BARE_SYN and s.flags & (SYN | ACK) == SYN | ACK:
        c.bits &= ~BARE_SYN                     # simultaneous open: the SYN-ACK repeats the SYN's number (3.5, fig. 8)
        out.annotations |= bit(A_SIMULTANEOUS_OPEN)
        return 0
    if c != NULL and c.bits & PROBE and c.seq == s.seq and not s.flags & (SYN | FIN):
        if end == c.end and f.zero_window:
            out.annotations |= bit(A_ZERO_WINDOW_PROBE)
            probed(f, s, reach)
            return 0
        if i >= f.old and (end == c.end or after(end, c.end) and not after(f.max, c.end)):
            fill(c, s, end, order)                  # the probe's byte at last, and what comes behind it
            f.max = end if after(end, f.max) else f.max
            f.sent_ns = s.time_ns
            return 0
    if c != NULL and before(c.seq, s.seq) and divisible(f, i):
        part = divide(f, i, s.seq, out)
        if part == NO_MEMORY:
            return -1
        if part != TOO_DEAR:
            i = <uint32_t>part
            c = chunk(f, i)
    order_told = sent_before(f, s)
    if order_told < 0 and c == NULL and f.holes and after(end, f.una):
        # no ID, no clock tick between them: only the time is left
        order_told = 1 if s.time_ns - f.hole_ns < max(f.srtt_ns // 2, 3 * MS) and f.dup_acks < 3 else 0
    if order_told == 1 and c == NULL and f.una_told and not after(end, f.una) and not f.holes and not s.flags & SYN:
        out.annotations |= bit(A_NETWORK_DUPLICATE)     # late, and acknowledged long ago: the other copy was
        return 0
    if order_told != 1 and c == NULL and acknowledged_before(f, s, end, reach):
        result = append(f, s, end, order)               # the original, though its acknowledgment was captured before it
        f.old += f.live
        f.live = 0
        f.sent_ns = s.time_ns
        watch_order(f, s)
        return result
    if order_told == 1 and not s.flags & SYN:
        out.annotations |= bit(A_OUT_OF_ORDER)
        overtaken(f, s, i)
        if c == NULL and after(end, f.una):
            result = insert(f, i, s, end, order, out)
        hole = end - s.seq
        f.holes -= min(hole, f.holes)
        return result

    out.annotations |= again(s)
    if c != NULL:
        out.retransmission_of = c.last_frame
        out.first_ns, out.copies = c.first_ns, c.times
    if (f.una_told and not after(end, f.una)) or (c != NULL and all_told(f, i, s.seq, end)):
        out.annotations |= bit(A_SPURIOUS_RETRANSMISSION)
    out.annotations |= cause(f, s, c, end, reach)
    out.since_ns = s.time_ns - f.sent_ns if f.sent_ns else 0        # a capture may begin with it
    if out.annotations & bit(A_SPURIOUS_RETRANSMISSION) and (s.length or out.annotations & causes()):
        told_ns = f.news_ns if after(end, f.una) else f.una_ns
        crossed = s.time_ns - told_ns <= reach + reach // 2     # the acknowledgment was still on its way
        f.needless[ANSWER_LOST if not crossed else LATE_ANSWER if out.annotations & by_timer() else OVERTAKEN] += 1
    if c == NULL:
        if after(end, f.una):
            result = insert(f, i, s, end, order, out)
        hole = end - s.seq
        f.holes -= min(hole, f.holes)
    else:
        free_ones = i + LEAST_SPARE
        while i < f.old + f.live:
            c = chunk(f, i)
            if not before(c.seq, end):
                break
            if i >= free_ones and not take_one(f):
                out.in_part = True
                break
            if before(end, c.end) and divisible(f, i):
                part = divide(f, i, end, out)
                if part == NO_MEMORY:
                    return -1
                if part != TOO_DEAR:
                    i = <uint32_t>part - 1
                    c = chunk(f, i)
            c.last_ns, c.last_order, c.last_frame = s.time_ns, order, spot(s)
            c.last_ts, c.ip_id, c.checksum = s.ts_val, s.ip_id, s.checksum
            c.times = <uint8_t>min(c.times + 1, 255)
            c.bits &= ~(SPURIOUS | BY_TIMER)
            if out.annotations & bit(A_SPURIOUS_RETRANSMISSION):
                c.bits |= SPURIOUS           # counted: a D-SACK that says so again adds nothing
            if out.annotations & by_timer():
                c.bits |= BY_TIMER
            if after(s.seq, c.seq) or before(end, c.end):
                c.bits |= IN_PART
            i += 1
    if after(end, f.max):
        result = append(f, s, end, order)
        chunk(f, f.old + f.live - 1).seq = f.max
        f.max = end
    f.sent_ns = s.time_ns
    watch_order(f, s)
    return result
