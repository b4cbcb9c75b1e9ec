# cython: wraparound=False, freethreading_compatible=True
"""What a segment is for its sender's flight: new, sent again, late, a probe, or a copy that nobody sent.

A segment may concern many chunks: it fills a hole in front of them, it covers them once more.  What that costs is paid
from what earlier packets left (SPARE each), so that no sender can make a packet cost more than so much in the long
run; past that the rest of the chunks is left as it was (`in_part`).

What only looks like one sent again: the same packet seen twice (same IP ID, same checksum), and a packet
that was sent before what the capture has already shown (older IP ID or timestamp): reordering.
"""
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t

from tcpscope.replay.annotations cimport (
    A_DUPLICATE_CAPTURE, A_FIN_RETRANSMISSION, A_KEEP_ALIVE, A_LOST_SEGMENT, A_NETWORK_DUPLICATE, A_OUT_OF_ORDER,
    A_RETRANSMISSION, A_SIMULTANEOUS_OPEN, A_SPURIOUS_RETRANSMISSION, A_SYN_ACK_RETRANSMISSION, A_SYN_RETRANSMISSION,
    A_TIMEOUT_RETRANSMISSION, A_ZERO_WINDOW_PROBE, bit, by_timer, causes,
)
from tcpscope.replay.cause cimport cause
from tcpscope.replay.chunks cimport (
    LEAST_SPARE, NO_MEMORY, TOO_DEAR, append, chunk, divide, divisible, fill, insert, place, take_one,
)
from tcpscope.replay.copies cimport COPY_WITHIN_NS, ELSEWHERE_NS, SAME_CAPTURE_NS, copies_come_late, identified
from tcpscope.replay.flight cimport (
    ANSWER_LOST, BARE_SYN, BY_RTO, BY_TIMER, IN_PART, LATE_ANSWER, OVERTAKEN, PROBE, SACKED, SAID_KEEP_ALIVE,
    SAID_PROBE, SPURIOUS, Chunk, Finding, Flight,
)
from tcpscope.replay.sending cimport sent_next, watch_order
from tcpscope.replay.seq cimport after, before
from tcpscope.wire.segment cimport ACK, FIN, OPT_TIMESTAMPS, RST, SYN, Segment, spot

cdef enum:
    MS = 1_000_000
    CROSSED_NS = 3 * MS          # between the queues or taps of two directions
    PIECES = 64                  # of a super-frame, at most


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


cdef inline bint asks(Flight *f, const Segment *s, int64_t reach, bint is_old, Finding *out) noexcept nogil:
    """s asks whether the peer is still there, or its window still closed, with the byte before what it has."""
    cdef bint probing = f.zero_window or f.last_kind == SAID_PROBE      # a probe and no data since: it waits still
    f.last_kind = 0
    if not f.started or s.flags & (SYN | FIN | RST) or s.seq != f.una - 1:
        return False
    if not (s.length == 0 and f.zero_window
            or s.length <= 1 and not is_old and f.una == f.max and (s.length == 0 or not f.live)):
        return False
    out.annotations |= bit(A_ZERO_WINDOW_PROBE if probing else A_KEEP_ALIVE)
    if probing:
        probed(f, s, reach)
    else:
        f.last_kind = SAID_KEEP_ALIVE
    return True


cdef inline void skips(Flight *f, const Segment *s, Finding *out) noexcept nogil:
    """s numbers from behind data that was not seen."""
    out.annotations |= bit(A_LOST_SEGMENT)
    f.holes += s.seq - f.max
    f.hole_ns = s.time_ns


cdef inline void sent_nothing(Flight *f, const Segment *s, Finding *out) noexcept nogil:
    """Neither data nor SYN nor FIN."""
    if s.flags & RST or not s.flags & ACK:
        return
    if not f.started:
        start(f, s.seq)                             # the capture begins in the middle
    elif after(s.seq, f.max):
        skips(f, s, out)
        f.max = s.seq


cdef inline void start_again(Flight *f, const Segment *s) noexcept nogil:
    """Another incarnation: it begins with other numbers."""
    f.old = f.live = f.head = 0
    f.told_from = f.told_to = 0
    f.una_told = False
    start(f, s.seq)


cdef int sent_new(Flight *f, const Segment *s, uint32_t end, uint64_t order, int64_t reach,
                  Finding *out) noexcept nogil:
    """s begins where the latest ended, or behind that."""
    cdef bint probe = f.zero_window and s.length == 1 and s.seq == f.max and not s.flags & (SYN | FIN)
    if probe:
        out.annotations |= bit(A_ZERO_WINDOW_PROBE)
        probed(f, s, reach)
    if s.seq != f.max:
        skips(f, s, out)
    if sent_next(f, s, end, order, &out.since_ns) < 0:
        return -1
    if probe:
        chunk(f, f.old + f.live - 1).bits |= PROBE
    return 0


# ---------------------------------------------------------------- ... what is not behind all that was sent

cdef inline bint captured_twice(Flight *f, const Chunk *c, const Segment *s, uint32_t end,
                                Finding *out) noexcept nogil:
    """s is a copy of c, or of a part of it, that its sender did not send."""
    if f.many != NULL and captured_elsewhere(f, c, s, end):
        out.annotations |= bit(A_DUPLICATE_CAPTURE)
        return True
    if not (is_copy(c, s) or s.time_ns - c.last_ns < MS and not after(end, f.max) and is_piece(c, s, end)):
        return False
    if s.time_ns - c.last_ns < SAME_CAPTURE_NS:
        out.annotations |= bit(A_DUPLICATE_CAPTURE)
    else:
        out.annotations |= bit(A_NETWORK_DUPLICATE)
        copies_come_late(f, False)
    return True


cdef inline bint goes_on(Flight *f, Chunk *c, const Segment *s, uint32_t end, uint64_t order, int64_t reach, bint live,
                         Finding *out) noexcept nogil:
    """s repeats numbers of c, and nothing is sent again: a SYN that is answered as well, a probe's byte.

    live: c is not acknowledged.
    """
    if c.bits & BARE_SYN and s.flags & (SYN | ACK) == SYN | ACK:
        c.bits &= ~BARE_SYN                     # simultaneous open: the SYN-ACK repeats the SYN's number (3.5, fig. 8)
        out.annotations |= bit(A_SIMULTANEOUS_OPEN)
        return True
    if not c.bits & PROBE or c.seq != s.seq or s.flags & (SYN | FIN):
        return False
    if end == c.end and f.zero_window:
        out.annotations |= bit(A_ZERO_WINDOW_PROBE)
        probed(f, s, reach)
        return True
    if not live or not (end == c.end or after(end, c.end) and not after(f.max, c.end)):
        return False
    fill(c, s, end, order)                      # the probe's byte at last, and what comes behind it
    f.max = end if after(end, f.max) else f.max
    f.sent_ns = s.time_ns
    return True


cdef inline bint sent_after(const Flight *f, const Chunk *c, const Segment *s) noexcept nogil:
    """By its ID s was sent after the copy of c that was captured last, even if others have overtaken it."""
    return (f.ids == 1 and identified(s) and c.ip_id <= 0xFFFF and c.ip_id
            and 0 < <int32_t><int16_t>(s.ip_id - c.ip_id) < 1024)


cdef inline bint came_late(const Flight *f, const Segment *s, bint known, uint32_t end) noexcept nogil:
    """s was sent before the newest that was seen; where neither IDs nor time stamps tell, by the time."""
    cdef int told = sent_before(f, s)
    if told < 0 and not known and f.holes and after(end, f.una):
        # no ID, no clock tick between them: only the time is left
        return s.time_ns - f.hole_ns < max(f.srtt_ns // 2, 3 * MS) and f.dup_acks < 3
    return told == 1


cdef inline void fill_hole(Flight *f, uint32_t size) noexcept nogil:
    f.holes -= min(size, f.holes)


cdef int sent_late(Flight *f, const Segment *s, uint32_t i, bint known, uint32_t end, uint64_t order,
                   Finding *out) noexcept nogil:
    """The network has reordered it; i: its place."""
    cdef int result = 0
    out.annotations |= bit(A_OUT_OF_ORDER)
    overtaken(f, s, i)
    if not known and after(end, f.una):
        result = insert(f, i, s, end, order, out)
    fill_hole(f, end - s.seq)
    return result


cdef int before_its_ack(Flight *f, const Segment *s, uint32_t end, uint64_t order) noexcept nogil:
    """The original, though its acknowledgment was captured before it."""
    cdef int result = append(f, s, end, order)
    f.old += f.live
    f.live = 0
    f.sent_ns = s.time_ns
    watch_order(f, s, False)
    return result


cdef inline void needless(Flight *f, const Segment *s, uint32_t end, int64_t reach, const Finding *out) noexcept nogil:
    """The peer had acknowledged what s repeats: why its sender did not know."""
    cdef int64_t told_ns = f.news_ns if after(end, f.una) else f.una_ns
    cdef bint crossed = s.time_ns - told_ns <= reach + reach // 2     # the acknowledgment was still on its way
    f.needless[ANSWER_LOST if not crossed else LATE_ANSWER if out.annotations & by_timer() else OVERTAKEN] += 1
    f.needless_rtos += out.annotations & bit(A_TIMEOUT_RETRANSMISSION) != 0


cdef inline void sent_once_more(Chunk *c, const Segment *s, uint32_t end, uint64_t order,
                                const Finding *out) noexcept nogil:
    c.last_ns, c.last_order, c.last_frame = s.time_ns, order, spot(s)
    c.last_ts, c.ip_id, c.checksum = s.ts_val, s.ip_id, s.checksum
    c.times = <uint8_t>min(c.times + 1, 255)
    c.bits &= ~(SPURIOUS | BY_TIMER | BY_RTO)
    if out.annotations & bit(A_SPURIOUS_RETRANSMISSION):
        c.bits |= SPURIOUS                   # counted: a D-SACK that says so again adds nothing
    if out.annotations & by_timer():
        c.bits |= BY_TIMER
    if out.annotations & bit(A_TIMEOUT_RETRANSMISSION):
        c.bits |= BY_RTO
    if after(s.seq, c.seq) or before(end, c.end):
        c.bits |= IN_PART


cdef int mark_repeated(Flight *f, const Segment *s, uint32_t i, uint32_t end, uint64_t order,
                       Finding *out) noexcept nogil:
    """s repeats the chunks from i to `end`; -1 when memory runs out."""
    cdef uint32_t free_ones = i + LEAST_SPARE
    cdef Chunk *c
    cdef int part
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
        sent_once_more(c, s, end, order, out)
        i += 1
    return 0


cdef int sent_again(Flight *f, const Segment *s, const Chunk *c, uint32_t i, uint32_t end, uint64_t order,
                    int64_t reach, Finding *out) noexcept nogil:
    """A retransmission, of chunk c at i; c NULL: of what was not seen.  -1 when memory runs out."""
    cdef int result = 0
    out.annotations |= again(s)
    if c != NULL:
        out.retransmission_of = c.last_frame
        out.first_ns, out.copies = c.first_ns, c.times
    if (f.una_told and not after(end, f.una)) or (c != NULL and all_told(f, i, s.seq, end)):
        out.annotations |= bit(A_SPURIOUS_RETRANSMISSION)
    out.annotations |= cause(f, s, c, end, reach)
    out.since_ns = s.time_ns - f.sent_ns if f.sent_ns else 0        # a capture may begin with it
    if out.annotations & bit(A_SPURIOUS_RETRANSMISSION) and (s.length or out.annotations & causes()):
        needless(f, s, end, reach, out)
    if c != NULL:
        result = mark_repeated(f, s, i, end, order, out)
    else:
        if after(end, f.una):
            result = insert(f, i, s, end, order, out)
        fill_hole(f, end - s.seq)
    if result == 0 and after(end, f.max):
        result = append(f, s, end, order)
        chunk(f, f.old + f.live - 1).seq = f.max
        f.max = end
    f.sent_ns = s.time_ns
    watch_order(f, s, False)
    return result


cdef int sent_behind(Flight *f, const Segment *s, uint32_t end, uint64_t order, int64_t reach,
                     Finding *out) noexcept nogil:
    """s begins before what was sent last: again, out of order, or a copy.  -1 when memory runs out."""
    cdef uint32_t i = place(f, s.seq)
    cdef Chunk *c = NULL
    cdef int part
    cdef bint late
    if i < f.old + f.live and before(chunk(f, i).seq, end):
        c = chunk(f, i)
    if c != NULL and (captured_twice(f, c, s, end, out) or goes_on(f, c, s, end, order, reach, i >= f.old, out)):
        return 0
    if c != NULL and before(c.seq, s.seq) and divisible(f, i):
        part = divide(f, i, s.seq, out)
        if part == NO_MEMORY:
            return -1
        if part != TOO_DEAR:
            i = <uint32_t>part
            c = chunk(f, i)
    late = came_late(f, s, c != NULL, end) and not (c != NULL and sent_after(f, c, s))
    if late and c == NULL and f.una_told and not after(end, f.una) and not f.holes and not s.flags & SYN:
        # acknowledged long ago: a copy, an original behind its repetition, or a repetition that was overtaken
        out.annotations |= bit(A_OUT_OF_ORDER)
        copies_come_late(f, False)              # from now on more is remembered, and tells which
        return 0
    if not late and c == NULL and acknowledged_before(f, s, end, reach):
        return before_its_ack(f, s, end, order)
    if late and not s.flags & SYN:
        return sent_late(f, s, i, c != NULL, end, order, out)
    return sent_again(f, s, c, i, end, order, reach, out)


cdef int flight_sent(Flight *f, const Segment *s, uint64_t order, int64_t reach, Finding *out) noexcept nogil:
    """f's side sent s; -1 when memory runs out.  reach: from the capture point to that side and back."""
    cdef uint32_t end = s.seq + s.length + ((s.flags & SYN) >> 1) + (s.flags & FIN)
    if asks(f, s, reach, out.is_old, out):
        return 0
    if end == s.seq or s.flags & RST:
        sent_nothing(f, s, out)
        return 0
    if not f.started:
        start(f, s.seq)
        if not s.flags & SYN and s.options & OPT_TIMESTAMPS:
            f.sack_ok = True                        # the SYN was not seen: hosts that know the one know the other
    elif s.flags & SYN and not known_syn(f, s.seq):
        start_again(f, s)
    if s.flags & FIN:
        f.fin_sent = True
    if before(s.seq, f.max):
        return sent_behind(f, s, end, order, reach, out)
    return sent_new(f, s, end, order, reach, out)
