# cython: wraparound=False, freethreading_compatible=True
"""What a connection's record says of the traffic of each side."""
from libc.stdint cimport int64_t, uint32_t

from tcpscope.replay.ranges cimport Ranges
from tcpscope.replay.rows cimport NONE, SideRow
from tcpscope.replay.rtt cimport rtt_mean, rtt_percentile, rtt_rto, rtt_std
from tcpscope.replay.traffic cimport (
    DATA_SEEN, FIN_SEEN, MSS_SEEN, SCALE_SEEN, STARTED, SYN_SEEN, WINDOW_SEEN, Traffic,
)

cdef int64_t K_MAX_MISSED = 1 << 28     # more is no hole in a capture, but a number out of place


cdef inline int64_t known(bint seen, int64_t value) noexcept nogil:
    return value if seen else NONE


cdef void put_times(const Traffic *me, const Traffic *peer, SideRow *out) noexcept nogil:
    """Rates, and the round trips of what this side sent."""
    cdef int64_t first = me.first_ns, last = me.last_ns
    if peer.marks & STARTED:
        first = min(first, peer.first_ns) if me.marks & STARTED else peer.first_ns
        last = max(last, peer.last_ns) if me.marks & STARTED else peer.last_ns
    out.throughput = me.unique_bytes * 1e9 / (last - first) if last > first else NONE
    last = me.last_data_ns - me.first_data_ns
    out.goodput = me.unique_bytes * 1e9 / last if last > 0 else NONE
    out.first_data_ns = known(me.marks & DATA_SEEN, me.first_data_ns)
    out.first_data_frame = known(me.marks & DATA_SEEN, <int64_t>me.first_data_frame)
    out.last_data_ns = known(me.marks & DATA_SEEN, me.last_data_ns)
    out.idle_max_ns = known(me.marks & STARTED, me.idle_max_ns)
    out.rtt_samples = me.rtt.count
    out.rtt_min_ns = known(me.rtt.count > 0, me.rtt.min_ns)
    out.rtt_max_ns = known(me.rtt.count > 0, me.rtt.max_ns)
    out.rtt_mean_ns = rtt_mean(&me.rtt)
    out.rtt_std_ns = rtt_std(&me.rtt)
    out.rtt_p50_ns = rtt_percentile(&me.rtt, 0.50)
    out.rtt_p95_ns = rtt_percentile(&me.rtt, 0.95)
    out.rtt_p99_ns = rtt_percentile(&me.rtt, 0.99)
    out.srtt_ns = known(me.rtt.count > 0, me.rtt.srtt_ns)
    out.rto_ns = rtt_rto(&me.rtt)


cdef int64_t acknowledged_unseen(const Traffic *me) noexcept nogil:
    """Bytes that the peer acknowledged and the capture lacks, of a stream whose beginning or end it lacks, too."""
    cdef const Ranges *seen = &me.seen
    cdef int64_t found, beyond
    cdef uint32_t i
    if seen.start == seen.end or seen.forgotten:
        return 0
    found = max(0, me.una - seen.end - (not me.marks & FIN_SEEN))       # one more may be a FIN that it lacks
    for i in range(seen.count):
        beyond = seen.start if i + 1 == seen.count else seen.below[i + 1].start
        found += max(0, min(beyond, me.una) - seen.below[i].end)
    return found


cdef void traffic_row(const Traffic *me, const Traffic *peer, SideRow *out) noexcept nogil:
    """Fill the columns known here; the engine fills the rest."""
    cdef int64_t missed
    out.packets = me.packets
    out.data_packets = me.data_packets
    out.bytes = me.bytes
    out.unique_bytes = me.unique_bytes
    out.retransmissions = me.retransmissions
    out.retransmitted_bytes = me.retransmitted_bytes
    out.out_of_order = me.out_of_order
    out.pure_acks = me.pure_acks
    out.sack_packets = me.sack_packets
    out.dsack_packets = me.dsack_packets
    out.duplicate_acks = me.duplicate_acks
    out.pushed_packets = me.pushed_packets
    out.syn_packets = me.syn_packets
    out.fin_packets = me.fin_packets
    out.rst_packets = me.rst_packets
    out.zero_windows = me.zero_windows
    out.zero_window_probes = me.zero_window_probes
    out.keep_alives = me.keep_alives
    out.urgent_packets = me.urgent_packets
    out.bad_checksums = me.bad_checksums
    out.offload_checksums = me.offload_checksums
    out.offloaded_segments = me.offloaded_segments
    out.ecn_ce = me.ecn_ce
    out.ecn_echo = me.ecn_echo
    out.cwr = me.cwr
    out.mss = known(me.marks & MSS_SEEN, me.mss)
    out.window_scale = known(me.marks & SCALE_SEEN, me.window_scale)
    out.isn = known(me.marks & SYN_SEEN, me.isn)
    out.ttl = known(me.marks & STARTED, me.ttl)
    out.max_segment = known(me.marks & DATA_SEEN, me.max_segment)
    out.min_segment = known(me.marks & DATA_SEEN, me.min_segment)
    out.max_window = known(me.marks & WINDOW_SEEN, me.max_window)
    out.min_window = known(me.min_window > 0, me.min_window)
    out.max_in_flight = me.max_in_flight
    out.sequenced_packets = me.data_packets + me.syn_packets + me.fin_packets - me.with_data
    out.initial_window_bytes = known(me.marks & SYN_SEEN, me.initial_window_bytes)
    out.stream_length = out.missed_bytes = NONE
    if me.marks & SYN_SEEN and me.marks & FIN_SEEN:
        out.stream_length = max(0, me.fin_at - me.syn_at - 1)
        out.missed_bytes = max(0, out.stream_length - <int64_t>me.unique_bytes)
    elif not me.bad_checksums and not peer.bad_checksums:
        missed = acknowledged_unseen(me)
        out.missed_bytes = known(0 < missed < K_MAX_MISSED, missed)
    put_times(me, peer, out)
