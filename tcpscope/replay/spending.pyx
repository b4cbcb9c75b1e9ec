# cython: wraparound=False, freethreading_compatible=True
"""Attributes every interval between two packets: for each side to what kept it from sending, for the connection to
what it was doing.  What is attributed adds up to the time from the first packet to the last, whatever the clock does.

A side's reason is read where it stopped sending: at the edge of the peer's window, after a full segment (so its
congestion window, and thus the path, is the limit), or after a short one (it had no more).  When all is acknowledged,
it still holds for as long as its next data need to get here, `lag`; what lasts longer is the program's time.
The peer's window is the one that the side knew of when it sent what passes here now: one lag old.

Silence without reason is charged to the program whose data end it, less a round trip where they answer the peer.
"""
from libc.stdint cimport int64_t, uint8_t, uint64_t

from tcpscope.replay.annotations cimport (
    A_DELAYED_ACK, A_RETRANSMISSION, A_SPURIOUS_RETRANSMISSION, A_TIMEOUT_RETRANSMISSION, A_ZERO_WINDOW_PROBE, bit,
    by_silence, causes, not_new, twice,
)
from tcpscope.replay.flight cimport STEADY, Finding, Flight
from tcpscope.replay.pace cimport (
    NOBODY, PAUSE_NS, after_repair, attribute, charge, heard, lag_of, sample_lag, settle, spoken, still_held,
    travelled,
)
from tcpscope.replay.seq cimport after, before
from tcpscope.replay.traffic cimport Traffic
from tcpscope.wire.segment cimport ACK, FIN, OPT_TIMESTAMPS, RST, SYN, Segment

cdef enum:
    LATEST_NS = 10_000_000       # on top of a round trip, what was sent before a RST was heard has come
    SILENT_NS = 10_000_000_000   # within which any sender repeats what is not acknowledged (RFC 6298: 3 s at first)


cdef void spending_start(Spending *l) noexcept nogil:
    """Begin zeroed memory."""
    l.talked = NOBODY


# ---------------------------------------------------------------- the interval that this packet ends

cdef inline void spend(Spending *l, const Flight *flight, const Traffic *traffic, const Segment *s, int d, int64_t dt,
                       uint64_t own) noexcept nogil:
    cdef int x, why, strongest = BY_APPLICATION
    cdef int64_t part, limited = 0
    cdef bint timer = own & by_silence() != 0
    cdef Pace *p
    if not l.open:
        l.spent[T_OPENING] += dt
        return
    for x in range(2):
        p = &l.side[x]
        why, part = p.why, dt
        if x == d and why != BY_CLOSING and own & (causes() | bit(A_ZERO_WINDOW_PROBE)):
            why = BY_LOSS if own & causes() and not flight[x].zero_window else BY_RECEIVER
        elif why == BY_CONGESTION and dt > SILENT_NS:
            part = 0                     # no timer ran out: it had been acknowledged, out of the capture's sight
            p.spent[BY_APPLICATION] += dt
        elif p.empty_ns and why != BY_APPLICATION and why != BY_CLOSING:
            part = still_held(p, lag_of(l, flight, x), s.time_ns, dt, x == d and s.length > 0)
            p.spent[BY_APPLICATION] += dt - part
        timer |= why == BY_LOSS and p.chain > 0 and part >= PAUSE_NS      # nobody answers: the next one runs
        charge(l, flight, traffic, x, why, part, &strongest, &limited)
    if l.side[0].closed and l.side[1].closed and strongest != BY_LOSS or l.reset:
        l.spent[T_CLOSING] += dt
    else:
        attribute(l, strongest, limited, dt, timer)


cdef inline void sent_again(Pace *p, const Flight *f, const Segment *s, uint64_t own,
                            const Finding *found) noexcept nogil:
    """Where the first copy got lost; how long a chain of time-outs is, and whether only a long segment cannot pass."""
    if found.retransmission_of:
        p.lost_after += 1
        p.lost_again += found.copies > 1
    elif not own & bit(A_SPURIOUS_RETRANSMISSION) and not before(s.seq, p.begin):
        p.lost_before += 1
    if not own & bit(A_TIMEOUT_RETRANSMISSION):
        return
    p.timer_ns += found.since_ns
    if p.chain == 0:
        p.chain_start_ns = found.first_ns if found.first_ns else s.time_ns
        p.heard = f.sack_high != 0 and after(f.sack_high, s.seq)      # what came behind it has arrived
    if p.chain < 0xFFFF:
        p.chain += 1
    if s.length > f.acked_most and s.length >= p.stuck_length:
        p.stuck_length, p.stuck_times, p.stuck_heard = s.length, p.chain, p.heard
    p.shortened = p.chain > 1 and 0 < s.length < p.stuck_length     # RFC 4821, 7.7: it tries a smaller packet


cdef inline bint goes_on(const Spending *l, const Flight *flight, const Segment *s, int d) noexcept nogil:
    """After a RST: who was said to have sent it, or who must have heard of it, still talks."""
    return l.reset == 1 + d or s.length and s.time_ns - l.reset_ns > lag_of(l, flight, d) + LATEST_NS


cdef void spending_observe(Spending *l, const Flight *flight, const Traffic *traffic, const Segment *s, int d,
                           int64_t dt, uint64_t own, const Finding *found) noexcept nogil:
    """One packet that side d sent, dt after the one before; all others have seen it.  flight, traffic: of both."""
    cdef Pace *p = &l.side[d]
    cdef Pace *q = &l.side[1 - d]
    cdef int x
    spend(l, flight, traffic, s, d, dt, own)
    if own & twice():
        return
    if l.reset and not s.flags & (SYN | RST) and goes_on(l, flight, s, d):
        l.reset, p.why, q.why = 0, BY_APPLICATION, BY_APPLICATION
        l.pending_ns += l.spent[T_CLOSING] - l.closing_ns
        l.spent[T_CLOSING] = l.closing_ns
    if not s.flags & (SYN | RST):
        l.open = True
    if not p.begun:
        p.begun, p.begin = True, s.seq
        if s.options & OPT_TIMESTAMPS:
            p.stamp, p.stamp_ns = s.ts_val, s.time_ns
    if (s.length and not own & not_new()) or s.flags & (FIN | RST):
        settle(l, flight, s, d)
    if s.flags & RST:
        if not l.reset:
            l.closing_ns, l.reset_ns = l.spent[T_CLOSING], s.time_ns
        l.reset = <uint8_t>(1 + d)
        p.why = q.why = BY_CLOSING
        return
    if found.rtt_ns > 0 and l.pending_ns > 0 and not s.length:
        travelled(l, d, found.rtt_ns if not own & bit(A_DELAYED_ACK) else flight[1 - d].rtt_min_ns)
    if s.options & OPT_TIMESTAMPS:
        sample_lag(l, s, d)
    if s.length or own & bit(A_RETRANSMISSION):
        if own & bit(A_RETRANSMISSION):
            sent_again(p, &flight[d], s, own, found)
        elif own & bit(A_ZERO_WINDOW_PROBE):
            p.why = BY_RECEIVER
        elif not own & not_new():
            spoken(l, flight, traffic, s, d, found.since_ns)
        p.empty_ns = 0
    elif own & bit(A_ZERO_WINDOW_PROBE):
        p.why, p.empty_ns = BY_RECEIVER, 0       # though all is acknowledged, it has more
    if s.flags & ACK:
        heard(l, flight, traffic, s, d, found.rtt_ns)
    for x in range(2):
        if flight[x].phase != STEADY:       # what a closed window refuses is repaired when it opens
            l.side[x].why = <uint8_t>(BY_RECEIVER if flight[x].zero_window else BY_LOSS)
            l.side[x].repair_until_ns = 0
        else:
            after_repair(l, flight, x, s.time_ns)
        if flight[x].fin_sent:
            l.side[x].closed = True
            if flight[x].live == 0:
                l.side[x].why = BY_CLOSING
