"""The statistics of one direction of a connection, with the meaning tcptrace gave them.

The caller decides what belongs to one connection and shows every segment in capture order.  `me` is the
direction of the segment's sender, `peer` the other one.  A Traffic is zeroed memory to begin with and may
be moved.  It owns memory after holes, a larger flight or round-trip samples, so `traffic_free` is due at its
end; before it, `traffic_end` when the capture ends.
Positions are sequence numbers unwrapped to 64 bits around the newest one seen.

Round trips and duplicate ACKs belong to the side whose data they answer.  Where tcptrace 6.6.7 is wrong
this differs: it counts one byte too many in flight, takes FINs, RSTs and ACKs with nothing outstanding for
duplicate ACKs (RFC 5681, 2 excludes them), an MSS above 32767 for negative and a round trip of 0 for none,
and sees no window probe without payload (Linux sends such).
"""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from tcpscope.replay.ranges cimport Ranges
from tcpscope.replay.rtt cimport Candidates, RoundTrips, rtt_add
from tcpscope.replay.seq cimport place
from tcpscope.wire.segment cimport PSH, Segment

cdef enum:                          # Traffic.marks: what has been seen
    STARTED = 0x001                 # a segment; `nxt` and `una` hold
    SYN_SEEN = 0x002
    FIN_SEEN = 0x004
    RST_SEEN = 0x008
    MSS_SEEN = 0x010
    SCALE_SEEN = 0x020
    ACK_SENT = 0x040                # `last_ack` holds
    WINDOW_SEEN = 0x080             # `window` holds
    SCALED = 0x100                  # the window statistics are of scaled windows
    ANSWERED = 0x200                # the peer has acknowledged something
    DATA_ANSWERED = 0x400           # ... beyond the SYN: the initial window is over
    DATA_SEEN = 0x800
    BARE_SYN = 0x1000               # the latest SYN had no ACK
    PROBING = 0x2000                # it probed the peer's window, and has sent no data since
    SCALE_KNOWN = 0x4000            # its SYN was captured as far as the window scale, or whole

cdef struct Traffic:
    int64_t nxt                     # SND.NXT as far as the capture shows
    int64_t una                     # SND.UNA; before the first ACK, the first byte
    uint32_t marks
    uint32_t window                 # advertised last, scaled
    uint32_t last_ack
    uint32_t max_in_flight
    int64_t last_ns
    int64_t idle_max_ns
    uint64_t packets
    uint64_t data_packets
    uint64_t bytes
    uint64_t unique_bytes
    uint64_t pure_acks
    uint64_t pushed_packets
    int64_t last_data_ns
    uint32_t max_segment
    uint32_t min_segment
    uint32_t max_window
    uint32_t min_window             # not counting zero; 0: none yet
    Ranges seen
    Candidates candidates
    RoundTrips rtt
    int64_t first_ns                # from here on, what few packets touch
    int64_t first_data_ns
    uint64_t first_data_frame
    int64_t syn_at
    int64_t fin_at
    int64_t probe_start             # of the newest zero-window probe with data
    int64_t probe_end
    uint64_t retransmitted_bytes
    uint64_t initial_window_bytes
    uint32_t isn
    uint32_t retransmissions
    uint32_t out_of_order
    uint32_t sack_packets
    uint32_t dsack_packets
    uint32_t duplicate_acks         # that came back for what this side sent
    uint32_t syn_packets
    uint32_t fin_packets
    uint32_t rst_packets
    uint32_t zero_windows
    uint32_t zero_window_probes
    uint32_t keep_alives
    uint32_t urgent_packets
    uint32_t bad_checksums
    uint32_t offload_checksums
    uint32_t offloaded_segments
    uint32_t ecn_ce
    uint32_t ecn_echo
    uint32_t cwr
    uint32_t with_data              # SYNs and FINs that carry some
    uint16_t mss
    uint8_t window_scale
    uint8_t ttl

cdef inline bint offloaded(const Traffic *peer, const Segment *s) noexcept nogil:
    """s is longer than its receiver's MSS: network cards divide it, or have put it together."""
    return peer.mss and s.length > peer.mss


cdef int traffic_observe(Traffic *me, Traffic *peer, const Segment *s) noexcept nogil
cdef void traffic_observe_copy(Traffic *me, const Segment *s) noexcept nogil
cdef void traffic_end(Traffic *client, Traffic *server, int64_t now_ns) noexcept nogil
cdef void traffic_shed(Traffic *me) noexcept nogil
cdef void traffic_free(Traffic *me) noexcept nogil


cdef inline int traffic_plain(Traffic *me, Traffic *peer, const Segment *s, uint32_t window,
                              int64_t sample_ns) noexcept nogil:
    """`traffic_observe` of a plain segment (plain.pyx), but for the candidates; -1 when memory fails.

    window: as it is meant, not zero; sample_ns: the round trip that it ends; -1: none.
    """
    if sample_ns >= 0 and rtt_add(&peer.rtt, sample_ns) < 0:
        return -1
    me.packets += 1
    me.idle_max_ns = max(me.idle_max_ns, s.time_ns - me.last_ns)
    me.last_ns = s.time_ns
    if s.length:
        me.last_data_ns = s.time_ns
        me.data_packets += 1
        me.bytes += s.length
        me.unique_bytes += s.length
        me.max_segment = max(me.max_segment, s.length)
        me.min_segment = min(me.min_segment, s.length)
        me.pushed_packets += s.flags & PSH != 0
        me.offloaded_segments += offloaded(peer, s)
        if not me.marks & DATA_ANSWERED:
            me.initial_window_bytes += s.length
        me.nxt += s.length
        me.seen.end = me.nxt
        me.max_in_flight = max(me.max_in_flight, <uint32_t>(me.nxt - me.una))
    else:
        me.pure_acks += 1
    if s.ack != me.last_ack:
        peer.una = place(peer.una, s.ack)
        me.last_ack = s.ack
    if not peer.marks & DATA_ANSWERED and not (peer.marks & SYN_SEEN and s.ack == peer.isn + 1):
        peer.marks |= DATA_ANSWERED
    if window != me.window:
        me.window = window
        me.max_window = max(me.max_window, window)
        me.min_window = min(me.min_window, window)
    return 0
