# cython: wraparound=False, freethreading_compatible=True
"""Why a segment was sent again, from what was in flight and what the peer had said by then.

The sender is read as Linux behaves (RFC 5681, 6298, 6675, 8985), at the capture point: `reach`
is the round trip from there to the sender and back, so an answer to an acknowledgment seen at
time t comes at t + reach.

* After news from the peer (a hole in its SACKs, duplicate acknowledgments) and within recovery:
  a fast retransmission.  Three duplicates are not required (RACK).
* After silence: with SACK and no trouble before, first a tail loss probe of the last segment;
  then, or without SACK, or of the first segment, the retransmission timer.
* After a time-out, clocked by acknowledgments: recovery from that time-out.
"""
from libc.stdint cimport int64_t, uint32_t, uint64_t

from tcpscope.replay.annotations cimport (
    A_FAST_RETRANSMISSION, A_RTO_RECOVERY, A_TAIL_LOSS_PROBE, A_TIMEOUT_RETRANSMISSION, bit,
)
from tcpscope.replay.flight cimport BARE_SYN, LOSS, RECOVERY, Chunk, Flight
from tcpscope.replay.seq cimport after, before
from tcpscope.wire.segment cimport SYN, Segment

cdef enum:
    MS = 1_000_000
    PROBE_FIRST = 1_000_000_000  # of a tail loss probe before any round trip is known
    RTO_LEAST = 200_000_000      # Linux: 200 ms on top of the smoothed round trip
    DUPLICATES = 3


cdef inline void leave_steady(Flight *f) noexcept nogil:
    if f.exit_bytes == 0:
        f.exit_bytes = f.max - f.una


cdef inline uint64_t recovers(Flight *f) noexcept nogil:
    if f.phase != RECOVERY:
        leave_steady(f)
        f.phase, f.high_seq = RECOVERY, f.max
        f.entry_bytes = f.max - f.una
        f.recoveries += 1
    return bit(A_FAST_RETRANSMISSION)


cdef inline uint64_t timed_out(Flight *f) noexcept nogil:
    leave_steady(f)
    f.phase, f.high_seq = LOSS, f.max
    f.timeouts += 1
    return bit(A_TIMEOUT_RETRANSMISSION)


cdef inline int64_t probe_most(const Flight *f, int64_t rtt) noexcept nogil:
    """The longest that a tail loss probe waits (RFC 8985, 7.2), and a third of it for what the round trip varies."""
    rtt = max(rtt, f.opening_ns)
    return (2 * rtt + f.rttvar_ns * 4 + RTO_LEAST if rtt else PROBE_FIRST) * 4 // 3


cdef uint64_t cause(Flight *f, const Segment *s, const Chunk *c, uint32_t end, int64_t reach) noexcept nogil:
    """Fast, probe, timer, or recovery after a timer."""
    cdef int64_t now = s.time_ns, rtt, rto, since_news, since_sent, quiet, age
    cdef bint evidence, first, last, prompt
    if s.flags & SYN:
        return 0
    rtt = f.srtt_ns + reach
    if c != NULL and c.bits & BARE_SYN and before(c.seq, f.una):
        return 0                    # the peer took the SYN and not its data (RFC 7413, 4.2.2)
    rto = rtt + max(4 * f.rttvar_ns, RTO_LEAST)
    since_news = now - f.news_ns - reach
    since_sent = now - f.sent_ns
    quiet = min(since_news, since_sent) if f.news_ns else since_sent
    first = not after(s.seq, f.una)
    last = not before(end, f.max)
    prompt = since_news < max(rtt // 2, 20 * MS)
    # without SACK it takes three of them (RFC 5681, 3.2), or few segments under way (RFC 5827)
    evidence = (f.dup_acks >= (1 if f.sack_ok or prompt else DUPLICATES)
                or f.sack_high and after(f.sack_high, s.seq))
    age = now - max(c.last_ns if c != NULL else f.una_ns, f.una_ns + reach)
    if f.phase == LOSS:
        if prompt and quiet < rto * 7 // 10 or since_sent < RTO_LEAST * 2 // 5:
            return bit(A_RTO_RECOVERY)      # no timer is so short after another: a burst, or paced
        f.high_seq = f.max
        return bit(A_TIMEOUT_RETRANSMISSION)
    if f.phase == RECOVERY or evidence:
        if quiet < max(rtt + RTO_LEAST * 7 // 10, rto * 6 // 10) and not (
                first and c != NULL and c.times > 0 and age > rto * 9 // 10 and quiet > rtt // 2 + 30 * MS):
            return recovers(f)
        return timed_out(f)
    if s.length == 0 and quiet < max(rtt // 2, 2 * MS):
        return 0                    # a FIN that answers the peer's at once (CLOSING): no timer is so short
    if f.sack_ok and last and not f.probe_out and quiet < probe_most(f, rtt):
        f.probe_out, f.probe_end = True, f.max
        return bit(A_TAIL_LOSS_PROBE)
    if not first and not last and prompt:
        return bit(A_FAST_RETRANSMISSION)
    if (s.seq == f.una and f.una_ns and now - f.una_ns - reach < max(rtt // 2, 20 * MS)
            and c != NULL and c.first_ns < f.una_ns):
        # on an ACK that moved on, which starts the timer anew (RFC 6298, 5.3)
        if f.timeouts and before(f.una, f.high_seq):
            f.phase = LOSS          # the sender has not taken its time-out for needless
            return bit(A_RTO_RECOVERY)
        return recovers(f)          # RACK
    if not f.una_told and since_sent < RTO_LEAST * 2 // 5:
        return recovers(f)              # what the peer said was not captured; no timer is so short after other data
    return timed_out(f)
