"""A flow: who it is between.  A connection: what every observer remembers of it."""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from tcpscope.replay.course cimport Course
from tcpscope.replay.evidence cimport Evidence
from tcpscope.replay.flight cimport Flight
from tcpscope.replay.marks cimport Marks
from tcpscope.replay.rows cimport SideRow
from tcpscope.replay.services cimport Saids
from tcpscope.replay.spending cimport Spending
from tcpscope.replay.traffic cimport Traffic
from tcpscope.replay.turns cimport Turns
from tcpscope.replay.wireshark cimport Wireshark
from tcpscope.replay.zeek cimport Zeek
from tcpscope.wire.segment cimport Segment

cdef enum:
    CAUSES = 18                  # counters of a side, see Side.counts
    PAIR = 2                     # segments of an embryo that have room at first: a flow of a flood has no more
    MORE = 5                     # ... and that get it with each piece: the usual short connection needs two
    PIECES = 3
    PACKED = 422                 # bytes of a packed connection in one piece

cdef enum:                       # Side.counts
    N_FAST, N_TIMEOUT, N_PROBE, N_SPURIOUS, N_SYN, N_FIN, N_CAPTURED_TWICE, N_NETWORK_TWICE
    N_HOLES, N_UPDATES, N_FULL, N_DELAYED, N_PIGGYBACKED, N_CHALLENGES, N_RECOVERY, N_PROBE_ACKS
    N_AGAIN

cdef struct Side:                # what is counted of one side beside Traffic
    int64_t last_ns              # its latest segment; -1: none
    int64_t zero_since_ns        # the window it advertises is zero since then; 0: it is not
    uint32_t unanswered          # repetitions and probes since the peer last spoke
    uint8_t ttl                  # of its first segment
    uint8_t good_sum             # it has sent a right checksum: a wrong one means damage, not anonymising
    uint32_t counts[CAUSES]
    uint32_t zero_spells
    int64_t zero_ns
    int64_t zero_longest_ns
    int64_t at_fin               # bytes sent before it acknowledged the peer's FIN; -1: it has not
    int64_t nagle_ns
    uint32_t nagle_stalls

cdef struct Saved:               # what a segment of an embryo says beside its addresses and ports
    int64_t time_ns
    uint64_t frame
    uint64_t payload_at
    uint64_t order
    uint32_t seq
    uint32_t ack
    uint32_t options
    uint32_t ts_val
    uint32_t ts_ecr
    uint32_t ip_id
    uint32_t length
    uint32_t captured
    uint16_t flags
    uint16_t window
    uint16_t urgent
    uint16_t checksum
    uint16_t mss
    uint16_t file
    uint8_t window_scale
    uint8_t checksum_state
    uint8_t ttl
    uint8_t tos
    uint8_t notes
    uint8_t header_length
    uint8_t cookie_length
    uint8_t sender               # 0 client, 1 server
    uint8_t stepped_back         # the capture's clock had gone back

cdef struct Kept:                # the first segments of an embryo, and the pieces with those after
    Saved pair[PAIR]
    Saved *pieces[PIECES]

cdef struct Key:                 # a step that has been told
    uint64_t frame
    uint8_t old
    uint8_t new
    uint8_t event

cdef struct Announced:           # what has been told of a flow's states (announce.pyx)
    uint32_t due                 # place in the list of those to look at again, from 1; 0: not in it
    uint8_t counts[2]            # steps of the client, of the server
    uint8_t states[2]
    uint8_t tallied              # stands in Replay.tally
    uint8_t room
    Key keys[1]                  # `room` of them: the client's steps, then the server's

cdef struct Packed:              # a connection that is not heard of (resting.pyx), or a part of it
    Packed *next
    int64_t last_ns              # of the connection
    uint8_t tight                # squeezed, not only its zeros left out
    uint8_t closing              # a FIN was seen: an acknowledgment may end it
    uint8_t bytes[PACKED]

cdef struct Flow:                # what the table looks up
    Flow *next_in_slot
    Connection *body             # NULL: an embryo, of which few segments have been seen (embryo.pyx), or packed
    Kept *kept                   # these; or, of a packed one, those that came since
    Packed *packed               # NULL: it is not
    Flow *before_lingering       # the list of closed ones, waiting for 2 MSL to pass
    Flow *after_lingering
    int64_t linger_until_ns
    Announced *announced         # what has been told of it while it is open; only live
    uint32_t hash
    uint32_t outer
    uint32_t number
    uint32_t reuse_gap_ms        # since the connection before
    uint16_t port[2]             # client, server
    uint8_t addr[2][16]
    uint8_t ip_version
    uint8_t n_saved
    uint8_t reused               # the four-tuple had a connection before: course.REUSE_
    uint8_t lingering            # in the list of closed ones; an embryo: it may be closed
    uint8_t woken                # something came after it had closed
    uint8_t fins                 # of an embryo: 1 the client has sent a FIN, 2 the server
    uint8_t past_handshake       # of an embryo: not only SYNs and SYN-ACKs
    Saids saids                  # what the first bytes of its sides said

cdef struct Connection:
    Flow *flow
    int64_t last_ns
    uint64_t last_frame
    Connection *older            # the incarnation before, of which something may still come
    int64_t ack_ns               # first acknowledgment of the SYN-ACK
    int64_t syn_ns[2]            # first SYN (client), first SYN-ACK (server); -1: none
    uint32_t copies              # packets captured or duplicated twice
    uint32_t looks               # segments in flight that may be compared before it is calm (calm.pyx)
    uint8_t calm                 # nothing is going on but data and acknowledgments: plain.pxd
    uint8_t in_crowd             # stands in the list of those that are not packed (crowd.pyx)
    uint8_t said                 # which plain segments came since then: plain_bit (plain.pxd)
    uint8_t reset                # a RST was seen
    uint8_t fins                 # 1: the client's FIN was acknowledged, 2: the server's
    uint8_t fin_seen
    uint8_t simultaneous
    uint8_t from_start           # begins with a SYN
    uint8_t fast_open
    uint8_t role_evidence
    uint8_t first_fin            # side whose FIN was seen first
    uint8_t reset_by             # side that sent the first
    uint8_t icmp_type            # 255: none
    uint8_t icmp_code
    Marks marks
    Side side[2]
    Flight flight[2]
    Wireshark wireshark
    Zeek zeek
    Traffic traffic[2]
    Turns turns
    Spending spending
    int64_t start_ns
    uint64_t first_frame         # frames that are remembered are spots (wire/segment.pxd)
    int64_t syn_rtt_ns           # 0: not known
    int64_t ack_rtt_ns
    int64_t reset_ns
    int64_t reused_ns            # a new SYN took the four-tuple; -1
    uint64_t reused_frame
    uint64_t reused_order
    Evidence evidence
    Course course
    Connection *before_me        # in that list
    Connection *after_me
    int64_t joined_ns            # last_ns when it was put there
