"""What the replay hands on: one record a packet, an event, a connection.

`layout.py` gives the same fields to Python's `struct`; an assertion at import ties the sizes.
Times are nanoseconds since the epoch, durations nanoseconds; NONE (-1) is "not known".
"""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from tcpscope.wire.hints cimport ALPN_ROOM, DETAIL_ROOM, NAME_ROOM

cdef enum:
    NONE = -1
    N_STATES = 12
    HISTORY_ROOM = 48

cdef struct PacketRow:
    uint64_t frame
    uint64_t order                # number of the segment, over all files, from 0
    int64_t time_ns
    uint64_t payload_at
    uint64_t annotations          # bits of annotations.ANNOTATIONS
    uint64_t retransmission_of    # frame; 0: none
    uint64_t acked_frame          # frame; 0: none
    int64_t rtt_ns                # of the segment this one acknowledges (Karn: never of a repeated one)
    int64_t ack_rtt_ns            # Wireshark's figure, repeated segments included
    int64_t initial_rtt_ns
    uint8_t src[16]
    uint8_t dst[16]
    uint32_t connection
    uint32_t wireshark            # bits of annotations.WIRESHARK
    uint32_t seq                  # relative
    uint32_t ack                  # relative; raw without the ACK flag
    uint32_t seq_raw
    uint32_t ack_raw
    uint32_t length
    uint32_t window               # scaled where the scale is known
    uint32_t bytes_in_flight      # Wireshark's figure; 0: none
    uint32_t duplicate_ack_num    # Wireshark's figure; 0: none
    uint32_t ts_val
    uint32_t ts_ecr
    uint32_t options
    uint32_t sack[8]              # relative to the peer's first number
    uint16_t sport
    uint16_t dport
    uint16_t flags
    uint16_t window_raw
    uint16_t mss
    uint16_t file
    uint8_t window_scale
    uint8_t n_sack
    uint8_t sender                # 0 client, 1 server
    uint8_t client_state          # after this packet
    uint8_t server_state
    uint8_t ip_version
    uint8_t ttl
    uint8_t checksum_state

cdef struct EventRow:
    int64_t time_ns
    uint64_t frame                # that shows it; 0: none (a timer)
    uint64_t order                # number of the packet, over all, after which it holds
    uint32_t connection
    uint16_t port
    uint16_t file
    uint8_t ip[16]
    uint8_t ip_version
    uint8_t endpoint              # 0 client, 1 server
    uint8_t kind                  # 0 state
    uint8_t old
    uint8_t new
    uint8_t event                 # states.Event that led to it
    uint8_t inferred              # 1: concluded from later packets, not seen happening
    uint8_t padding

cdef struct EvidenceRow:          # a frame with an annotation worth a word
    uint64_t frame
    int64_t time_ns
    uint32_t connection
    uint16_t file
    uint8_t annotation            # its position
    uint8_t side                  # 0 sent by the client, 1 by the server

cdef struct SideRow:              # one direction: what that side sent
    int64_t packets
    int64_t data_packets
    int64_t bytes                 # payload, repeated included
    int64_t unique_bytes
    int64_t retransmissions
    int64_t retransmitted_bytes
    int64_t out_of_order
    int64_t pure_acks
    int64_t sack_packets
    int64_t dsack_packets
    int64_t duplicate_acks
    int64_t pushed_packets
    int64_t syn_packets
    int64_t fin_packets
    int64_t rst_packets
    int64_t zero_windows
    int64_t zero_window_probes
    int64_t keep_alives
    int64_t mss                   # NONE: no option seen
    int64_t window_scale          # NONE: no option seen
    int64_t max_segment
    int64_t min_segment
    int64_t max_window
    int64_t min_window
    int64_t max_in_flight
    int64_t initial_window_bytes
    int64_t rtt_samples           # of segments this side sent, at the capture point
    int64_t rtt_min_ns
    int64_t rtt_max_ns
    double rtt_mean_ns
    double rtt_std_ns
    int64_t rtt_p50_ns
    int64_t rtt_p95_ns
    int64_t rtt_p99_ns
    int64_t srtt_ns               # RFC 6298, last value
    int64_t rto_ns
    int64_t idle_max_ns
    double throughput             # bytes a second over the connection's time
    double goodput                # unique bytes a second between first and last data
    int64_t stream_length         # NONE: unknown
    int64_t missed_bytes          # NONE: unknown
    int64_t fast_retransmissions
    int64_t timeout_retransmissions
    int64_t tail_loss_probes
    int64_t recovery_retransmissions
    int64_t spurious_retransmissions
    int64_t syn_retransmissions
    int64_t fin_retransmissions
    int64_t sent_again  # packets, whatever the cause
    int64_t sequenced_packets  # with data, SYN or FIN
    int64_t duplicate_captures
    int64_t network_duplicates
    int64_t lost_segments         # holes seen
    int64_t window_updates
    int64_t window_fulls
    int64_t zero_window_spells
    int64_t zero_window_ns
    int64_t longest_zero_window_ns
    int64_t delayed_acks
    int64_t piggybacked_acks
    int64_t nagle_stalls          # a small segment waited for a delayed ACK
    int64_t nagle_ns              # time lost so
    int64_t replies               # times that it answered the peer's data with data of its own
    int64_t reply_mean_ns         # NONE: it never did
    int64_t reply_max_ns
    int64_t reply_max_frame
    int64_t reply_max_skipped     # IP IDs missing right before it
    int64_t first_data_skipped    # ... before its first data
    int64_t recovery_episodes
    int64_t timeout_episodes
    int64_t slow_start_exit_bytes  # in flight at the first sign of loss; NONE: there was none
    int64_t limited_application_ns  # had nothing to send
    int64_t limited_receiver_ns  # waited for the peer's window
    int64_t limited_congestion_ns  # sent as fast as its congestion window let it
    int64_t limited_loss_ns  # repaired losses
    int64_t limited_closing_ns  # had sent all, FIN included
    int64_t starved_ns  # of limited_receiver, less than half the peer's largest window open
    int64_t slow_start_ns  # of limited_congestion, before the first sign of loss
    int64_t congestion_window_bytes  # most sent in a round trip while the path was the limit; NONE
    double recovery_cut  # in flight after fast recoveries, share of before
    int64_t restarts  # slow starts after a pause
    int64_t restart_frame  # first of them
    int64_t window_edge_frame  # first that reached the edge of the peer's window; NONE
    int64_t small_segments_frame
    int64_t rtt_max_frame
    int64_t small_segments  # small ones sent behind others not acknowledged
    int64_t silly_segments  # small because the window was no larger
    int64_t lost_before_capture  # sent again, first copy not seen
    int64_t lost_after_capture  # sent again, first copy seen
    int64_t lost_again  # repetitions of repetitions
    int64_t timer_ns  # waited for retransmission timers
    int64_t back_off_longest  # most time-outs in a row, until acknowledged
    int64_t back_off_ns  # from first copy to acknowledgment
    int64_t back_off_open  # time-outs in a row at the end
    int64_t stuck_segment  # length that time-outs repeated, longer than any acknowledged; 0
    int64_t stuck_times  # time-outs of it
    int64_t stuck_heard  # packets of the peer meanwhile
    int64_t acked_segment  # longest acknowledged
    int64_t spurious_by_delay
    int64_t spurious_by_order
    int64_t spurious_by_acks
    int64_t spurious_timeouts
    int64_t overtaken  # segments that came after their successors
    int64_t reordering_bytes  # furthest overtaken
    int64_t reordering_ns  # latest
    int64_t delayed_ack_mean_ns  # NONE: none
    int64_t delayed_ack_max_ns
    int64_t zero_window_open_ns  # spell that never ended
    int64_t zero_window_probe_acks
    int64_t lost_window_updates  # the peer probed on after them
    int64_t probe_openings  # a probe found the window open
    int64_t reach_samples  # round trips to this side by time stamps, while it sent
    int64_t reach_min_ns
    int64_t reach_mean_ns
    int64_t reach_max_ns
    int64_t challenge_acks
    int64_t urgent_packets
    int64_t bad_checksums
    int64_t offload_checksums
    int64_t offloaded_segments    # longer than the peer's MSS allows
    int64_t ecn_ce
    int64_t ecn_echo
    int64_t cwr
    int64_t first_data_ns         # NONE: no data
    int64_t first_data_frame
    int64_t last_data_ns
    int64_t isn                   # NONE: not seen
    int64_t ttl
    int64_t last_ns               # its latest segment; NONE: it sent nothing
    int64_t syn_options           # OPT_ bits of its SYN
    int64_t after_fin_bytes       # payload sent after the peer's FIN
    int64_t keep_alive_rounds
    int64_t keep_alive_lost       # most probes in a row without an answer
    int64_t keep_alive_idle_ns    # silence before the first of a round, the shortest; NONE: no round
    int64_t keep_alive_interval_ns  # between unanswered probes; NONE: none
    int64_t heartbeats            # most data in a row that came after about the same time
    int64_t heartbeat_ns          # that time; NONE: nothing regular
    int64_t dwell_ns[N_STATES]    # time spent in each state

cdef struct ConnectionRow:
    int64_t start_ns
    int64_t end_ns
    uint64_t first_frame
    uint64_t last_frame
    int64_t syn_rtt_ns            # SYN to SYN-ACK: the server's side of the capture point
    int64_t ack_rtt_ns            # SYN-ACK to ACK: the client's side
    int64_t initial_rtt_ns        # both (Wireshark's irtt)
    int64_t half_close_ns         # from one side's FIN acknowledged to the other's FIN
    int64_t half_close_bytes
    int64_t time_wait_start_ns
    int64_t time_wait_end_ns      # projected: start + 2 MSL
    int64_t refused_ns            # SYN to RST
    int64_t syn_ack_ns            # first SYN-ACK; NONE: none
    int64_t ack_ns                # first acknowledgment of a SYN-ACK
    int64_t pause_ns              # latest silence of five seconds or more
    int64_t pause_end_ns
    int64_t reset_ns              # first RST
    int64_t idle_end_ns           # since the last segment when the capture ended; NONE: it had ended before
    uint64_t reset_frame          # 0: none
    int64_t time_opening_ns       # these ten add up to the connection's time
    int64_t time_client_ns
    int64_t time_server_ns
    int64_t time_network_ns
    int64_t time_congestion_ns
    int64_t time_receiver_ns
    int64_t time_loss_ns
    int64_t time_timeout_ns
    int64_t time_idle_ns
    int64_t time_closing_ns
    SideRow side[2]               # client, server
    uint8_t client_addr[16]
    uint8_t server_addr[16]
    uint32_t connection
    uint32_t outer
    uint32_t reset_bits           # course.RESET_
    uint32_t reuse_gap_ms         # since the connection before on the four-tuple
    uint16_t client_port
    uint16_t server_port
    uint16_t file
    uint16_t first_flags          # of the first segment
    uint8_t ip_version
    uint8_t client_state
    uint8_t server_state
    uint8_t role_evidence         # index into layout.ROLE_EVIDENCE
    uint8_t conn_state            # index into layout.CONN_STATES
    uint8_t completeness
    uint8_t close_kind            # index into layout.CLOSE_KINDS
    uint8_t closed_by             # 0 client, 1 server, 2 both at once, 255 nobody
    uint8_t capture_point         # index into layout.CAPTURE_POINTS
    uint8_t time_wait_owner       # 0 client, 1 server, 2 both, 255 nobody
    uint8_t reused                # the four-tuple had a connection before
    uint8_t reuse                 # index into layout.REUSE; 255: none before
    uint8_t first_side            # who sent the first segment: 0 client, 1 server
    uint8_t pause_by              # who spoke after the pause
    uint8_t reset_ttl
    uint8_t reset_by              # 0 client, 1 server; 255: no RST
    uint8_t echoed                # course.ECHOED_
    uint8_t ignored
    uint8_t fast_open_outcome     # index into layout.FAST_OPEN; 255: not used
    uint8_t fast_open
    uint8_t simultaneous_open
    uint8_t one_direction         # only one side was captured
    uint8_t icmp_type             # of an ICMP error that answered; 255: none
    uint8_t icmp_code
    uint8_t odd                   # how much it deserves to be looked at; 0: nothing odd
    uint8_t service               # index into layout.SERVICES; 255: not known
    uint8_t tls_version           # index into layout.TLS_VERSIONS; 255: not known
    char history[HISTORY_ROOM]    # NUL-terminated, as all that follow
    char server_name[NAME_ROOM]
    char alpn[ALPN_ROOM]
    char client_hint[DETAIL_ROOM]
    char server_hint[DETAIL_ROOM]
