"""One connection: who it is between, and what every observer remembers of it."""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from tcpscope.replay.flight cimport Flight
from tcpscope.replay.marks cimport Marks
from tcpscope.replay.rows cimport SideRow
from tcpscope.replay.traffic cimport Traffic
from tcpscope.replay.wireshark cimport Wireshark
from tcpscope.replay.zeek cimport Zeek
from tcpscope.wire.segment cimport Segment

cdef enum:
    CAUSES = 15                  # counters of a side, see Side.counts

cdef enum:                       # Side.counts
    N_FAST, N_TIMEOUT, N_PROBE, N_SPURIOUS, N_SYN, N_FIN, N_CAPTURED_TWICE, N_NETWORK_TWICE
    N_HOLES, N_UPDATES, N_FULL, N_DELAYED, N_PIGGYBACKED, N_CHALLENGES, N_RECOVERY

cdef struct Side:                # what is counted of one side beside Traffic
    uint32_t counts[CAUSES]
    uint32_t zero_spells
    int64_t zero_since_ns        # the window it advertises is zero since then; 0: it is not
    int64_t zero_ns
    int64_t zero_longest_ns
    int64_t last_ns              # its latest segment
    int64_t after_fin_bytes      # sent after the peer's FIN
    uint32_t unanswered          # repetitions and probes since the peer last spoke
    uint32_t nagle_stalls
    int64_t nagle_ns
    uint8_t ttl                  # of its first segment
    uint8_t good_sum             # it has sent a right checksum: a wrong one means damage, not anonymising

cdef struct Connection:
    Connection *next_in_slot     # flow table's chain
    Connection *before_lingering     # the list of closed ones, waiting for 2 MSL to pass
    Connection *after_lingering
    int64_t linger_until_ns
    Connection *older            # the incarnation before, of which something may still come
    int64_t start_ns
    int64_t last_ns
    uint64_t first_frame
    uint64_t last_frame
    uint64_t hash
    uint32_t number
    uint32_t outer
    uint8_t addr[2][16]          # client, server
    uint16_t port[2]
    uint16_t file
    uint8_t ip_version
    uint8_t role_evidence
    uint8_t reused               # the four-tuple had a connection before
    uint8_t lingering            # in the list of closed ones
    uint8_t from_start           # begins with a SYN
    uint8_t fast_open
    uint8_t simultaneous
    uint8_t icmp_type            # 255: none
    uint8_t icmp_code
    uint8_t fins                 # 1: the client's FIN was acknowledged, 2: the server's
    uint8_t fin_seen
    uint32_t copies              # packets captured or duplicated twice
    uint8_t first_fin            # side whose FIN was seen first
    uint8_t reset                # a RST was seen
    uint8_t reset_by             # side that sent the first
    int64_t syn_ns[2]            # first SYN (client), first SYN-ACK (server); -1: none
    int64_t last_syn_ns
    int64_t syn_rtt_ns           # 0: not known
    int64_t ack_rtt_ns
    int64_t reset_ns
    int64_t ack_ns               # first acknowledgment of the SYN-ACK
    int64_t reused_ns            # a new SYN took the four-tuple; -1
    uint64_t reused_frame
    uint64_t reused_order
    Side side[2]
    Flight flight[2]
    Traffic traffic[2]
    Wireshark wireshark
    Zeek zeek
    Marks marks
