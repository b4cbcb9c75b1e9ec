# cython: wraparound=False, freethreading_compatible=True
"""What a side has in flight, and what the peer says of it."""
from libc.stdint cimport int64_t, uint32_t

from tcpscope.replay.annotations cimport A_ACK_LOST_SEGMENT, A_DELAYED_ACK, A_PIGGYBACKED_ACK, bit
from tcpscope.replay.chunks cimport chunk
from tcpscope.replay.sacks cimport sample, take_sacks, told_spurious
from tcpscope.replay.seq cimport after, before
from tcpscope.wire.segment cimport ACK, FIN, OPT_SACK, OPT_SACK_PERMITTED, OPT_TIMESTAMPS, RST, SYN, Segment


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
