# cython: wraparound=False
"""The rules of spending.pyx: how an interval is charged, and what keeps a side from sending more.

Apart from it, so that they are compiled into what uses them: any packet there, a plain one in plain.pyx.
"""
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from tcpscope.replay.chunks cimport chunk
from tcpscope.replay.copies cimport ids_skipped
from tcpscope.replay.flight cimport Chunk, Flight
from tcpscope.replay.seq cimport before, distance
from tcpscope.replay.spending cimport (
    BY_APPLICATION, BY_CLOSING, BY_CONGESTION, BY_LOSS, BY_RECEIVER, EDGES, T_CLIENT, T_CLOSING, T_CONGESTION, T_IDLE,
    T_LOSS, T_NETWORK, T_RECEIVER, T_TIMEOUT, Pace, Spending,
)
from tcpscope.replay.traffic cimport SCALE_KNOWN, Traffic
from tcpscope.wire.segment cimport FIN, OPT_TIMESTAMPS, PSH, Segment, spot

cdef enum:
    NOBODY = 2
    ARRIVED = 3                  # the latest data are known to have arrived: the answer's way is paid for
    MS = 1_000_000
    NEAR_NS = 1_000_000          # a side closer to the capture point knows what the capture knows
    PROMPT_NS = 200_000          # data this soon after what let them go waited for it
    PARTING_NS = 10_000_000      # a FIN so soon behind the last words was meant when they were said
    PAUSE_NS = 200_000_000       # the least retransmission time-out; after it slow start begins again (RFC 5681, 4.1)
    IDLE_NS = 5_000_000_000      # no idle timer is shorter
    MOST_LAG_NS = 60_000_000_000    # more is no round trip, but a clock that was set
    TIMESTAMPS_ROOM = 12         # of a segment, by the time stamps option
    FAREWELL = 64                # bytes: TLS's close_notify takes 24 to 53
    MOST_HELD_NS = 10_000_000_000   # longer than that a machine was suspended, and its clock with it
    TICKS = 20                   # of a time stamp clock that tell how fast it goes
    LEAST_MSS = 536              # RFC 9293, 3.7.1
    ETHERNET = 1500              # bytes of an IP packet


cdef inline int64_t lag_of(const Spending *l, const Flight *flight, int side) noexcept nogil:
    """From the capture point to that side and back."""
    return max(l.side[side].lag_ns, flight[1 - side].rtt_min_ns)


cdef inline bint is_near(const Flight *flight, int d) noexcept nogil:
    """The capture was taken on that side's host, or beside it, however long its program takes to answer."""
    return 0 < flight[1 - d].rtt_min_ns < NEAR_NS


# ---------------------------------------------------------------- the interval that a packet ends

cdef inline int64_t still_held(const Pace *p, int64_t lag, int64_t now, int64_t dt, bint sends) noexcept nogil:
    """Of the interval, the part in which a side whose data are all acknowledged still waited for its reason."""
    cdef int64_t part = p.empty_ns + lag - (now - dt)
    if sends and dt <= part + lag // 4 + PROMPT_NS:
        return dt
    return max(0, min(part, dt))


cdef inline void charge(Spending *l, const Flight *flight, const Traffic *traffic, int x, int why, int64_t part,
                        int *strongest, int64_t *limited) noexcept nogil:
    """Side x was kept from sending for so long.  strongest, limited: what limits the connection, as far as is known."""
    cdef Pace *p = &l.side[x]
    p.spent[why] += part
    if why == BY_RECEIVER and 2 * flight[x].peer_window < traffic[1 - x].max_window:
        p.starved_ns += part
    elif why == BY_CONGESTION and flight[x].exit_bytes == 0:
        p.slow_start_ns += part
    if why != BY_APPLICATION and why != BY_CLOSING and part and (why == BY_LOSS or strongest[0] != BY_LOSS) and (
            part > limited[0] or why == BY_LOSS):
        strongest[0], limited[0] = why, part


cdef inline void attribute(Spending *l, int strongest, int64_t limited, int64_t dt, bint timer) noexcept nogil:
    """What the connection did meanwhile; the rest is silence.  timer: a loss was waited for by the clock."""
    if strongest == BY_LOSS:
        l.spent[T_TIMEOUT if timer else T_LOSS] += limited
    elif strongest == BY_RECEIVER:
        l.spent[T_RECEIVER] += limited
    elif strongest == BY_CONGESTION:
        l.spent[T_CONGESTION] += limited
    l.pending_ns += dt - limited


cdef inline void parted(Spending *l, const Segment *s) noexcept nogil:
    """Who spoke last speaks after a long silence, a few bytes, and closes: an idle timer ran out, nobody had waited."""
    if l.alone_ns and s.time_ns - l.alone_until_ns <= PARTING_NS:
        l.spent[T_CLIENT + l.speaker - 1] -= l.alone_ns
        l.spent[T_IDLE] += l.alone_ns
        l.alone_ns = 0


cdef inline int64_t held_back(const Pace *p, const Flight *f, const Segment *s) noexcept nogil:
    """How much longer than its sender's data before, s, new data, was on its way, ns; 0: no longer, or not known.

    By time stamps of a millisecond or less (RFC 7323, 5.4), as Linux, FreeBSD and macOS have them: coarser ones would
    have to be measured, and what a path held back and then lets go all at once makes any clock look fast.
    """
    cdef uint32_t kept = f.old + f.live
    cdef int64_t held
    cdef const Chunk *latest
    if not p.stamp_ns or not s.options & OPT_TIMESTAMPS or kept < 2 or chunk(f, kept - 1).first_ns != s.time_ns:
        return 0
    latest = chunk(f, kept - 2)
    if distance(p.stamp, latest.last_ts) < max(<int64_t>TICKS, (latest.last_ns - p.stamp_ns) // (2 * MS)):
        return 0
    held = s.time_ns - latest.last_ns - <int64_t>distance(latest.last_ts, s.ts_val) * MS
    return held if 0 < held < MOST_HELD_NS else 0


cdef inline void settle(Spending *l, const Flight *flight, const Segment *s, int d) noexcept nogil:
    """Side d ends the silence, with data or with its FIN or RST."""
    cdef int64_t travel
    if s.length:
        if l.talked == 1 - d or (l.talked == NOBODY and d == 1):    # the handshake's last ACK let the server begin
            travel = min(l.pending_ns, lag_of(l, flight, d))
            l.spent[T_NETWORK] += travel
            l.pending_ns -= travel
        if l.waited_ns and l.speaker == 2 - d:       # the other had closed its side, and is answered yet
            l.spent[T_IDLE] -= l.waited_ns
            l.pending_ns += l.waited_ns
        if l.pending_ns >= PAUSE_NS:
            travel = min(l.pending_ns, held_back(&l.side[d], &flight[d], s))
            l.spent[T_NETWORK] += travel
            l.pending_ns -= travel
        if l.pending_ns >= PAUSE_NS and ids_skipped(&flight[d]) and not is_near(flight, d):
            l.spent[T_TIMEOUT] += l.pending_ns              # it had said so before, and was not heard here
            l.pending_ns = 0
        l.spent[T_CLIENT + d] += l.pending_ns
        l.alone_ns = l.pending_ns if l.speaker == 1 + d and s.length <= FAREWELL and l.pending_ns >= IDLE_NS else 0
        l.alone_until_ns = s.time_ns
        l.talked, l.speaker, l.waited_ns, l.asked_ns = <uint8_t>d, <uint8_t>(1 + d), 0, 0
        if s.flags & FIN:
            parted(l, s)
    elif s.flags & FIN and l.side[1 - d].closed:
        l.spent[T_CLOSING] += l.pending_ns
    else:
        l.spent[T_IDLE] += l.pending_ns
        l.asked_ns += l.pending_ns
        if s.flags & FIN and l.speaker == 1 + d:
            parted(l, s)
            l.waited_ns += l.pending_ns
    l.pending_ns = 0


cdef inline void travelled(Spending *l, int d, int64_t rtt) noexcept nogil:
    """Side d acknowledges, and sends nothing yet: so much of the silence the data needed to get there."""
    cdef int64_t part = min(l.pending_ns, rtt)
    l.spent[T_NETWORK] += part
    l.pending_ns -= part
    if l.talked == 1 - d:
        l.talked = ARRIVED


# ---------------------------------------------------------------- what keeps a side from sending more

cdef inline uint32_t announced(const Traffic *traffic, int d) noexcept nogil:
    """The longest segment that side may send, options included; 0: neither SYN was seen."""
    cdef uint32_t mine = traffic[d].mss, theirs = traffic[1 - d].mss
    return theirs if mine == 0 or (theirs and theirs < mine) else mine


cdef inline uint32_t full_segment(const Traffic *traffic, int d) noexcept nogil:
    """Payload of a full segment of that side."""
    cdef uint32_t mss = announced(traffic, d)
    return mss if mss else max(traffic[d].max_segment, <uint32_t>LEAST_MSS)


cdef inline bint is_short(const Segment *s, const Traffic *traffic, int d) noexcept nogil:
    """The program had no more to send: not a full segment, nor a super-frame of such."""
    cdef uint32_t full = announced(traffic, d), longest = traffic[d].max_segment
    cdef bint super_frames = full == 0 and longest > ETHERNET
    if super_frames:
        full = ETHERNET - (40 if s.ip_version == 4 else 60)         # the pieces of most
    if full == 0:
        full = max(longest, <uint32_t>LEAST_MSS)
    elif s.options & OPT_TIMESTAMPS and full > TIMESTAMPS_ROOM:
        full -= TIMESTAMPS_ROOM
    if s.length > full:
        return s.flags & PSH and s.length % full != 0 and not (super_frames and s.length == longest)
    return s.length < full and not (s.length == longest and 2 * s.length > full)


cdef inline uint32_t edge_known(const Pace *p, const Flight *f, int64_t now, int64_t lag, bint *known) noexcept nogil:
    """The window's right edge that a side knew of when it sent what passes now."""
    cdef uint32_t then
    cdef int i
    known[0] = True
    if lag < NEAR_NS:
        return f.una + f.peer_window
    then = <uint32_t>(<uint64_t>(now - lag) // 1000)
    for i in range(p.n_edges - 1, -1, -1):
        if distance(p.edges[i].time_us, then) >= 0:
            return p.edges[i].edge
    known[0] = False                 # it had not heard of any, or it is no longer remembered
    return 0


cdef inline void remember_edge(Pace *p, const Segment *s, uint32_t window, int64_t lag) noexcept nogil:
    """The peer of p's side allows more."""
    cdef uint32_t us = <uint32_t>(<uint64_t>s.time_ns // 1000)
    cdef int i
    if p.n_edges and distance(p.known_us, us) < <int64_t>(<uint64_t>lag // (1000 * (EDGES - 2))):
        return
    p.known_us = us
    if p.n_edges == EDGES:
        for i in range(EDGES - 1):
            p.edges[i] = p.edges[i + 1]
        p.n_edges -= 1
    p.edges[p.n_edges].time_us, p.edges[p.n_edges].edge = us, s.ack + window
    p.n_edges += 1


cdef inline void sample_lag(Spending *l, const Segment *s, int d) noexcept nogil:
    """RFC 7323, 3: a time stamp of the peer that comes back on this side's data went to it and came back."""
    cdef Pace *p = &l.side[d]
    cdef Pace *q = &l.side[1 - d]
    cdef int64_t sample
    if q.probe_ns == 0 and s.ts_val != q.probe_ts:
        q.probe_ts, q.probe_ns = s.ts_val, s.time_ns
    if p.probe_ns == 0 or not s.length or before(s.ts_ecr, p.probe_ts):
        return
    sample, p.probe_ns = s.time_ns - p.probe_ns, 0
    if p.why == BY_APPLICATION or p.why == BY_CLOSING or not 0 <= sample <= MOST_LAG_NS or (
            p.empty_ns and s.time_ns - p.empty_ns > p.lag_ns + 10 * MS):
        return                       # the program, too, took its time
    p.lag_ns += sample - p.lag_ns >> 3 if p.lag_samples else sample
    p.lag_samples += 1
    p.lag_sum_ns += sample
    if p.lag_least_ns == 0 or sample < p.lag_least_ns:
        p.lag_least_ns = max(sample, 1)
    p.lag_most_ns = max(p.lag_most_ns, sample)


cdef inline void count_rounds(Pace *p, const Flight *f, const Traffic *traffic, const Segment *s, int d,
                              int64_t round_ns, int64_t since) noexcept nogil:
    """How much a side sends in a round trip, and whether it began anew after a pause (RFC 5681, 4.1)."""
    cdef bint clocked
    if s.time_ns >= p.round_end_ns:
        if p.why == BY_CONGESTION:
            p.round_most = max(p.round_most, p.round_bytes)
        if p.burst == 1:
            clocked = p.why == BY_CONGESTION and s.time_ns - p.round_end_ns < round_ns // 2
            p.burst, p.burst_bytes = 2 if clocked else 0, p.round_bytes
        elif p.burst == 2:
            p.burst = 0
            if (p.round_last >= 2 * p.burst_bytes and 4 * p.round_bytes > 5 * p.burst_bytes
                    and p.burst_bytes >= 2 * full_segment(traffic, d)):
                p.restarts += 1
                if p.restart_frame == 0:
                    p.restart_frame = p.burst_frame
        p.round_before = max(p.round_before, p.round_bytes)
        p.round_bytes = 0
        p.round_end_ns = s.time_ns + round_ns
        if since > max(PAUSE_NS, f.srtt_ns + 4 * f.rttvar_ns) and f.live <= 1:
            p.burst, p.burst_frame = 1, spot(s)
            p.round_last, p.round_before = max(p.round_before, p.round_last), 0
    p.round_bytes += s.length


cdef inline void sent_new(Spending *l, const Flight *flight, const Traffic *traffic, const Segment *s, int d,
                          int64_t lag, int64_t since) noexcept nogil:
    cdef Pace *p = &l.side[d]
    cdef uint32_t full = full_segment(traffic, d), end = s.seq + s.length
    cdef bint brief = is_short(s, traffic, d), known = False, at_edge = False
    cdef uint32_t edge
    cdef int32_t room = 0
    if traffic[0].marks & traffic[1].marks & SCALE_KNOWN:    # else what a window allows is not
        edge = edge_known(p, &flight[d], s.time_ns, 0 if is_near(flight, d) else lag, &known)
        room = distance(end, edge)
        at_edge = known and room < <int32_t>min(full, traffic[1 - d].max_window // 2)    # RFC 9293, 3.8.6.2.1
    if 2 * s.length < full:
        if at_edge and room < <int32_t>s.length // 4:
            p.silly += 1
        elif flight[d].live > 1 or since < lag // 2:
            p.small += 1
            if p.small_frame == 0:
                p.small_frame = spot(s)
    if at_edge and p.edge_frame == 0:
        p.edge_frame = spot(s)
    p.why = <uint8_t>(BY_RECEIVER if at_edge else BY_APPLICATION if brief else BY_CONGESTION)


cdef inline bint too_small(const Flight *f, const Traffic *traffic, int d) noexcept nogil:
    """The window of side d's peer has no room for a full segment, as far as is known what it allows."""
    if traffic[0].marks & traffic[1].marks & SCALE_KNOWN:
        return f.peer_window < full_segment(traffic, d)
    return f.zero_window


cdef inline void acknowledged(Pace *p, const Flight *f, const Traffic *traffic, const Segment *s, int d) noexcept nogil:
    """The peer of side d, which is p's, acknowledged."""
    if f.una_ns == s.time_ns and p.chain:
        if p.chain > p.chain_longest:
            p.chain_longest, p.chain_longest_ns = p.chain, s.time_ns - p.chain_start_ns
        p.stuck_heard += p.shortened                # ... and that arrives
        p.chain, p.shortened = 0, False
    p.heard += p.chain > 0
    if f.live == 0 and p.empty_ns == 0 and not (p.why == BY_RECEIVER and too_small(f, traffic, d)):
        p.empty_ns = s.time_ns


cdef inline void spoken(Spending *l, const Flight *flight, const Traffic *traffic, const Segment *s, int d,
                        int64_t since_ns) noexcept nogil:
    """Side d sent new data."""
    cdef Pace *p = &l.side[d]
    cdef int64_t lag = lag_of(l, flight, d)
    if p.round_end_ns or flight[d].live > 1:
        count_rounds(p, &flight[d], traffic, s, d, lag + (flight[d].srtt_ns * 7 >> 3), since_ns)
    sent_new(l, flight, traffic, s, d, lag, since_ns)


cdef inline void heard(Spending *l, const Flight *flight, const Traffic *traffic, const Segment *s, int d,
                       int64_t rtt_ns) noexcept nogil:
    """Side d acknowledges.  rtt_ns: the round trip that this ends, if any."""
    cdef Pace *q = &l.side[1 - d]
    cdef int64_t lag = lag_of(l, flight, 1 - d)
    if rtt_ns > q.slowest_ns:
        q.slowest_ns, q.slowest_frame = rtt_ns, spot(s)
    if lag >= NEAR_NS:
        remember_edge(q, s, flight[1 - d].peer_window, lag)
    acknowledged(q, &flight[1 - d], traffic, s, 1 - d)


cdef inline void after_repair(Spending *l, const Flight *flight, int x, int64_t now) noexcept nogil:
    """Side x may not know yet that its losses are repaired."""
    cdef Pace *p = &l.side[x]
    if p.why != BY_LOSS and now >= p.repair_until_ns:
        return
    if p.repair_until_ns == 0:
        p.repair_until_ns = now + lag_of(l, flight, x)
    p.why = <uint8_t>(BY_LOSS if now < p.repair_until_ns else BY_CONGESTION)


# ---------------------------------------------------------------- a plain segment

cdef inline void charge_plainly(Spending *l, const Flight *flight, const Traffic *traffic, const Segment *s, int x,
                                int64_t dt, bint sends, int *strongest, int64_t *limited) noexcept nogil:
    """Nothing is sent again, and the silence was short."""
    cdef Pace *p = &l.side[x]
    cdef int64_t part = dt
    if p.why == BY_APPLICATION:
        p.spent[BY_APPLICATION] += dt
        return
    if p.empty_ns:
        part = still_held(p, lag_of(l, flight, x), s.time_ns, dt, sends)
        p.spent[BY_APPLICATION] += dt - part
    charge(l, flight, traffic, x, p.why, part, strongest, limited)


cdef inline void spending_plain(Spending *l, const Flight *flight, const Traffic *traffic, const Segment *s, int d,
                                int64_t dt, int64_t rtt_ns, int64_t since_ns) noexcept nogil:
    """`spending_observe` of a plain segment (plain.pyx).

    rtt_ns: the round trip that it ends; since_ns: since the sender's data before.
    """
    cdef int strongest = BY_APPLICATION
    cdef int64_t limited = 0
    charge_plainly(l, flight, traffic, s, 0, dt, d == 0 and s.length > 0, &strongest, &limited)
    charge_plainly(l, flight, traffic, s, 1, dt, d == 1 and s.length > 0, &strongest, &limited)
    attribute(l, strongest, limited, dt, False)
    if s.length:
        settle(l, flight, s, d)
    elif rtt_ns > 0 and l.pending_ns > 0:
        travelled(l, d, rtt_ns)
    if s.options & OPT_TIMESTAMPS:
        sample_lag(l, s, d)
    if s.length:
        spoken(l, flight, traffic, s, d, since_ns)
        l.side[d].empty_ns = 0
    heard(l, flight, traffic, s, d, rtt_ns)
    after_repair(l, flight, 0, s.time_ns)
    after_repair(l, flight, 1, s.time_ns)
