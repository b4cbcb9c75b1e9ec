# cython: wraparound=False, freethreading_compatible=True
"""Counts what each side of a connection sent: bytes, copies, windows, flight, round trips, idleness."""
from libc.stdint cimport int64_t, uint32_t

from tcpscope.replay.ranges cimport Overlap, ranges_free, ranges_insert, ranges_insert_slowly
from tcpscope.replay.rtt cimport (
    candidates_acknowledge, candidates_add, candidates_free, candidates_strike, rtt_add, rtt_free, rtt_shed
)
from tcpscope.replay.seq cimport before, place
from tcpscope.wire.segment cimport (
    ACK, CWR, ECE, FIN, NOTE_CUT_HEADER, OPT_CUT, OPT_MSS, OPT_SACK, OPT_WSCALE, PSH, RST, SUM_BAD, SUM_GOOD,
    SUM_PARTIAL, SYN, URG, Segment, congested, spot,
)

cdef uint32_t K_MAX_SCALE = 14          # RFC 7323, 2.3
cdef int64_t K_MAX_WINDOW = 1 << 30     # RFC 7323, 2.3: an ACK further ahead than this is not of this stream


cdef void begin(Traffic *me, const Traffic *peer, const Segment *s) noexcept nogil:
    """The first segment of a direction fixes where its positions start."""
    cdef int64_t acknowledged
    me.first_ns = s.time_ns
    me.last_ns = s.time_ns
    me.ttl = s.ttl
    me.nxt = s.seq
    me.una = me.nxt + 1 if s.flags & SYN else me.nxt
    if peer.marks & ACK_SENT and not s.flags & SYN:
        acknowledged = place(me.nxt, peer.last_ack)
        if -K_MAX_WINDOW <= acknowledged - me.nxt <= K_MAX_WINDOW:
            me.una = acknowledged
            me.marks |= ANSWERED
    me.marks |= STARTED


cdef void begin_again(Traffic *me, const Segment *s) noexcept nogil:
    """What it had sent before its SYN, a RST that refused an earlier SYN, says nothing of its numbers."""
    me.nxt = s.seq
    me.una = me.nxt + 1


cdef void read_control(Traffic *me, const Segment *s, int64_t start) noexcept nogil:
    """SYN, FIN, RST and the options that only a SYN carries."""
    if s.flags & SYN:
        me.syn_packets += 1
        me.isn = s.seq
        me.syn_at = start
        me.marks |= SYN_SEEN
        if s.options & OPT_WSCALE or not s.options & OPT_CUT:
            me.marks |= SCALE_KNOWN
        if not s.flags & ACK:
            me.marks |= BARE_SYN
        if s.options & OPT_MSS:
            me.mss = s.mss
            me.marks |= MSS_SEEN
        if s.options & OPT_WSCALE:
            me.window_scale = s.window_scale
            me.marks |= SCALE_SEEN
    if s.flags & FIN:
        me.fin_packets += 1
        me.fin_at = start + s.length
        me.marks |= FIN_SEEN
    if s.flags & RST:
        me.rst_packets += 1
        me.marks |= RST_SEEN


cdef inline void read_data(Traffic *me, const Traffic *peer, const Segment *s) noexcept nogil:
    """Sizes and flags of a segment with payload."""
    if not me.marks & DATA_SEEN:
        me.marks |= DATA_SEEN
        me.first_data_ns, me.first_data_frame = s.time_ns, spot(s)
        me.min_segment = s.length
    me.last_data_ns = s.time_ns
    me.data_packets += 1
    me.bytes += s.length
    if s.length > me.max_segment:
        me.max_segment = s.length
    if s.length < me.min_segment:
        me.min_segment = s.length
    if s.flags & PSH:
        me.pushed_packets += 1
    if s.flags & (SYN | FIN):
        me.with_data += 1
    if s.flags & URG:
        me.urgent_packets += 1
    if offloaded(peer, s):
        me.offloaded_segments += 1


cdef int read_repeated(
    Traffic *me, const Segment *s, int64_t start, int64_t end, bint answered, bint *repeats
) noexcept nogil:
    """A segment that does not simply continue the stream: what of it is new, late, or sent before?"""
    cdef Overlap met
    cdef uint32_t copied
    cdef int64_t filled
    cdef int64_t top = me.seen.end if me.seen.start != me.seen.end else start
    if ranges_insert_slowly(&me.seen, start, end, &met) < 0:
        return -1
    if start < top:
        candidates_strike(&me.candidates, <uint32_t>start)
        if met.gap_end > start:
            filled = min(end, met.gap_end)
            if candidates_add(&me.candidates, <uint32_t>start, <uint32_t>filled, s.time_ns, answered) < 0:
                return -1
        if end > top:
            if candidates_add(&me.candidates, <uint32_t>top, <uint32_t>end, s.time_ns, answered) < 0:
                return -1
    elif candidates_add(&me.candidates, <uint32_t>start, <uint32_t>end, s.time_ns, answered) < 0:
        return -1
    me.out_of_order += met.out_of_order
    copied = <uint32_t>met.known
    repeats[0] = copied > 0
    if me.marks & BARE_SYN and s.flags & (SYN | ACK) == SYN | ACK:
        me.marks &= ~BARE_SYN       # simultaneous open: the SYN-ACK repeats the SYN's number (RFC 9293, 3.5)
    elif copied:
        me.retransmissions += 1
        me.retransmitted_bytes += copied
        if s.flags & SYN and me.syn_packets > 1:    # the repeated SYN or FIN is no byte
            copied -= 1
        if s.flags & FIN and me.fin_packets > 1 and copied:
            copied -= 1
    if copied < s.length:
        me.unique_bytes += s.length - copied
    return 0


cdef inline int read_sequence(
    Traffic *me, const Traffic *peer, const Segment *s, int64_t start, int64_t end, bint *repeats
) noexcept nogil:
    """Where a segment with data, SYN or FIN lies in the stream; `repeats`: some of it was sent before."""
    if s.length and peer.marks & WINDOW_SEEN and peer.window == 0 and not s.flags & SYN:
        me.zero_window_probes += 1
        me.probe_start = start
        me.probe_end = start + s.length
        return 0
    if start == me.seen.end and me.seen.start != me.seen.end:
        me.seen.end = end
        me.unique_bytes += s.length
        return candidates_add(
            &me.candidates, <uint32_t>start, <uint32_t>end, s.time_ns, (me.marks & ANSWERED) != 0
        )
    return read_repeated(me, s, start, end, (me.marks & ANSWERED) != 0, repeats)


cdef void read_reminder(Traffic *me, const Traffic *peer, const Segment *s) noexcept nogil:
    """At most one byte, just below what the peer has acknowledged: sent only to be answered.

    Keep-alive (RFC 9293, 3.8.4) with everything acknowledged; where the peer's window is closed it is how
    Linux probes (RFC 9293, 3.8.6.1): no payload.
    """
    if peer.marks & WINDOW_SEEN and peer.window == 0 or me.marks & PROBING:
        me.zero_window_probes += s.length == 0
        me.marks |= PROBING
    elif me.una == me.nxt and me.marks & ANSWERED:
        me.keep_alives += 1


cdef int accept_probe(Traffic *me, int64_t acknowledged) noexcept nogil:
    """The peer took (part of) a zero-window probe: now its bytes count as sent."""
    cdef Overlap met
    cdef int64_t end = min(acknowledged, me.probe_end)
    if ranges_insert(&me.seen, me.probe_start, end, &met) < 0:
        return -1
    me.unique_bytes += end - me.probe_start - met.known
    me.probe_start = me.probe_end = 0
    return 0


cdef inline int read_ack(Traffic *me, Traffic *peer, const Segment *s, uint32_t window) noexcept nogil:
    """What `me` acknowledges of the peer's stream: SND.UNA, round trips, duplicate ACKs."""
    cdef int64_t sent_ns = 0, position
    if not peer.marks & STARTED:
        return 0
    position = place(peer.nxt, s.ack)
    if peer.candidates.count:
        if candidates_acknowledge(&peer.candidates, s.ack, &sent_ns) and rtt_add(&peer.rtt, s.time_ns - sent_ns) < 0:
            return -1
    if peer.probe_end and position > peer.probe_start and accept_probe(peer, position) < 0:
        return -1
    if s.length == 0 and position == peer.una and peer.marks & ANSWERED and window == me.window:
        if peer.una < peer.nxt and not s.flags & (SYN | FIN | RST):     # RFC 5681, 2
            peer.duplicate_acks += 1
    if not s.flags & RST and position - peer.nxt <= K_MAX_WINDOW:
        if position > peer.una:
            peer.una = position
        peer.marks |= ANSWERED
        if not (peer.marks & SYN_SEEN and s.ack == peer.isn + 1):
            peer.marks |= DATA_ANSWERED
    return 0


cdef inline void read_window(
    Traffic *me, const Traffic *peer, const Segment *s, uint32_t window
) noexcept nogil:
    """Advertised windows.  Once both sides agreed on scaling, the SYNs' unscaled windows are forgotten."""
    me.window = window
    me.marks |= WINDOW_SEEN
    if window == 0:
        if s.flags & ACK:
            me.zero_windows += 1
        return
    if not me.marks & SCALED and me.marks & peer.marks & SCALE_SEEN and not s.flags & SYN:
        me.marks |= SCALED
        me.max_window = me.min_window = window
    if window > me.max_window:
        me.max_window = window
    if window < me.min_window or me.min_window == 0:
        me.min_window = window


cdef void read_sack(Traffic *me, const Segment *s) noexcept nogil:
    """SACK blocks; RFC 2883, 4: the first reports a duplicate if it lies below the ACK or in the second."""
    cdef uint32_t left = s.sack[0]
    cdef uint32_t right = s.sack[1]
    me.sack_packets += 1
    if not before(s.ack, right):
        me.dsack_packets += 1
    elif s.n_sack > 1 and before(left, s.sack[3]) and before(s.sack[2], right):
        me.dsack_packets += 1


cdef void read_oddities(Traffic *me, const Segment *s) noexcept nogil:
    """What few segments have: checksum findings and ECN marks."""
    if s.checksum_state == SUM_BAD:
        me.bad_checksums += 1
    elif s.checksum_state == SUM_PARTIAL:
        me.offload_checksums += 1
    if congested(s):
        me.ecn_ce += 1
    if not s.flags & SYN:               # on a SYN they negotiate (RFC 3168, 6.1.1)
        if s.flags & ECE:
            me.ecn_echo += 1
        if s.flags & CWR:
            me.cwr += 1


cdef inline void count_silence(Traffic *me, const Segment *s) noexcept nogil:
    me.idle_max_ns = max(me.idle_max_ns, s.time_ns - me.last_ns)
    me.last_ns = s.time_ns


cdef inline void count_flight(Traffic *me, const Segment *s, int64_t start) noexcept nogil:
    """New data: of the initial window, and how much is under way."""
    if not me.marks & DATA_ANSWERED:
        me.initial_window_bytes += s.length
    if not s.flags & SYN and start + s.length > me.una and start + s.length - me.una > me.max_in_flight:
        me.max_in_flight = <uint32_t>(start + s.length - me.una)


cdef int traffic_observe(Traffic *me, Traffic *peer, const Segment *s) noexcept nogil:
    """Count one segment; -1 when memory fails."""
    cdef uint32_t flags = s.flags
    cdef uint32_t window = s.window
    cdef int64_t start, end
    cdef int64_t spoke_ns = me.last_data_ns
    cdef bint repeats = False
    if not me.marks & STARTED:
        begin(me, peer, s)
    elif flags & SYN and not me.marks & SYN_SEEN and me.seen.start == me.seen.end:
        begin_again(me, s)
    me.packets += 1
    count_silence(me, s)
    if s.checksum_state > SUM_GOOD or congested(s) or flags & (ECE | CWR):
        read_oddities(me, s)
    if s.notes & NOTE_CUT_HEADER:
        return 0

    start = place(me.nxt, s.seq)
    end = start + s.length
    if flags & (SYN | FIN | RST):
        read_control(me, s, start)
        end += ((flags & SYN) != 0) + ((flags & FIN) != 0)
    if me.marks & peer.marks & SCALE_SEEN and not flags & SYN:
        window <<= min(<uint32_t>me.window_scale, K_MAX_SCALE)
    if s.length:
        read_data(me, peer, s)
    if s.length <= 1 and start == me.una - 1 and not flags & (SYN | FIN | RST):
        read_reminder(me, peer, s)
        me.last_data_ns = spoke_ns          # its byte is no word
    if end > me.una:
        me.marks &= ~PROBING
    if end != start and read_sequence(me, peer, s, start, end, &repeats) < 0:
        return -1
    if flags & ACK and read_ack(me, peer, s, window) < 0:
        return -1
    if flags & RST:
        return 0
    if end > me.nxt:
        me.nxt = end
    if flags & (ACK | SYN):
        read_window(me, peer, s, window)
    if flags & ACK:
        me.last_ack = s.ack
        me.marks |= ACK_SENT
        if s.length == 0 and not flags & (SYN | FIN):
            me.pure_acks += 1
        if s.options & OPT_SACK and s.n_sack:
            read_sack(me, s)
    if s.length and not repeats:
        count_flight(me, s, start)
    return 0


cdef void traffic_observe_copy(Traffic *me, const Segment *s) noexcept nogil:
    """A frame that the capture holds twice: one more packet, but nothing was sent."""
    me.packets += 1
    if s.time_ns > me.last_ns:
        me.last_ns = s.time_ns


cdef void traffic_end(Traffic *client, Traffic *server, int64_t now_ns) noexcept nogil:
    """The capture ends at `now_ns`: a side of a connection that is still open has been idle until then."""
    if (client.marks | server.marks) & RST_SEEN or client.marks & server.marks & FIN_SEEN:
        return
    if client.marks & STARTED:
        client.idle_max_ns = max(client.idle_max_ns, now_ns - client.last_ns)
    if server.marks & STARTED:
        server.idle_max_ns = max(server.idle_max_ns, now_ns - server.last_ns)


cdef void traffic_shed(Traffic *me) noexcept nogil:
    """Free what it owns but the room for its first round trips, which another connection may use."""
    ranges_free(&me.seen)
    candidates_free(&me.candidates)
    rtt_shed(&me.rtt)


cdef void traffic_free(Traffic *me) noexcept nogil:
    traffic_shed(me)
    rtt_free(&me.rtt)
