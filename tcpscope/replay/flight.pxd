"""What one side has sent and not yet had acknowledged, and why it sends things again."""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from tcpscope.replay.seq cimport after
from tcpscope.wire.segment cimport Segment

cdef enum:                       # Flight.phase
    STEADY = 0
    RECOVERY = 1                 # fast recovery: loss told by the peer's acknowledgments
    LOSS = 2                     # after a retransmission time-out

cdef enum:                       # Flight.last_kind: what this side's latest packet was, where it asks for an answer
    SAID_KEEP_ALIVE = 1
    SAID_PROBE = 2               # of a closed window
    SAID_UNACCEPTABLE = 3        # a RST or SYN in the middle of a connection
    SAID_FIN_AGAIN = 4

cdef enum:
    DELAYED_LEAST = 35_000_000   # ns: Linux delays acknowledgments by 40 ms and more

cdef enum:                       # Flight.needless
    LATE_ANSWER = 0
    OVERTAKEN = 1                # and so taken for lost
    ANSWER_LOST = 2              # or late on its way

cdef enum:                       # Chunk.bits
    SACKED = 1
    SPURIOUS = 2                 # its last copy is known to have been needless
    BARE_SYN = 4                 # a SYN without ACK
    IN_PART = 16                 # only a part of it was sent again: what is said of the rest says nothing of that
    BY_TIMER = 32                # its last copy was sent after silence, or behind one that was
    BY_RTO = 64                  # ... by the retransmission timer itself
    PROBE = 8                    # a byte that probes a closed window: sent, perhaps not taken

cdef struct Chunk:               # a range of numbers that was sent, once or more
    int64_t first_ns
    int64_t last_ns
    uint64_t last_order
    uint64_t last_frame
    uint32_t seq
    uint32_t end
    uint32_t first_ts            # TSval of the first copy
    uint32_t last_ts
    uint32_t ip_id               # of the last copy
    uint16_t checksum
    uint8_t times
    uint8_t bits

cdef struct Glimpse:             # enough of a packet to recognise it when it is captured again
    int64_t time_ns
    uint32_t key
    uint32_t id_and_ttl          # the IP ID above eight bits of TTL; 0: none
    uint16_t checksum
    uint8_t is_good              # that was right
    uint8_t file                 # the low bits of the capture's number

cdef struct Flight:
    Chunk *ring                  # in order of sequence numbers; acknowledged ones stay while there is room
    uint32_t head                # oldest kept
    uint32_t old                 # how many of those kept are acknowledged
    uint32_t live                # how many are not
    uint32_t room
    uint32_t una                 # SND.UNA, as far as the capture shows
    uint32_t max                 # furthest number sent
    uint32_t high_seq            # recovery or loss ends here
    uint32_t probe_end           # a tail loss probe is out until this is acknowledged
    uint32_t sack_high           # furthest SACKed
    uint32_t dup_acks            # in a row, for this side's data
    uint32_t peer_window         # scaled
    uint32_t top_ts              # newest TSval
    uint32_t top_id              # newest IP ID
    uint32_t holes               # bytes skipped over, not yet seen
    uint32_t told_from           # the peer has told by SACK that it has all from here ...
    uint32_t told_to             # ... up to here; every chunk within is marked
    int64_t una_ns               # when una last moved
    int64_t news_ns              # last acknowledgment that told something new
    int64_t sent_ns              # last data
    int64_t hole_ns              # when the latest hole appeared
    int64_t srtt_ns              # RFC 6298; 0: no sample
    int64_t rttvar_ns
    int64_t rtt_min_ns           # 0: no sample
    int64_t opening_ns           # that a repeated SYN took to be acknowledged: to Linux its first sample
    int64_t opened_ns            # when the peer opened its window after a probe of this side; 0: not since
    int64_t probed_ns            # this side's latest window probe
    int64_t held_ns              # last data before a delayed acknowledgment that came just now; 0: none
    uint32_t length_last         # payload of the latest new segment, and of the one before it
    uint32_t length_before
    uint32_t recoveries          # times it entered RECOVERY
    uint32_t timeouts            # times it entered LOSS
    uint32_t exit_bytes          # in flight when it first left STEADY: where slow start ended
    uint64_t spare               # chunks that may still be looked at beyond one a packet
    uint32_t acked_most          # longest segment acknowledged
    uint32_t entry_bytes         # in flight when it entered RECOVERY
    uint32_t needless[3]         # copies that were not needed, by why
    uint32_t needless_rtos       # ... that the retransmission timer sent
    uint32_t unheard             # openings of the peer's window after which this side still probed
    uint32_t found_open          # times that a probe found it open
    uint32_t n_late              # segments that were overtaken
    uint32_t late_bytes          # furthest that a segment was overtaken
    uint32_t n_delayed
    uint64_t cut_from            # in flight before fast recoveries, and after: sums
    uint64_t cut_to
    int64_t late_ns              # longest that one came after its successor
    int64_t delayed_ns           # by which the peer's acknowledgments were delayed, sum and most
    int64_t delayed_most_ns
    Chunk *gone                  # the latest of those that were sent again and are no longer in the ring
    uint32_t gone_room           # a power of two
    uint32_t n_gone              # how many there have been
    Glimpse seen[4]
    Glimpse *many                # of more packets, by their keys; NULL until copies come late (copies.pyx)
    uint32_t many_mask           # room for them, less one
    uint8_t seen_at
    uint8_t late_copies          # so many have come late, EXPECTED at most
    uint8_t started
    uint8_t una_told             # una comes from an acknowledgment, not from the first segment seen
    uint8_t phase
    uint8_t probe_out
    uint8_t sack_ok
    uint8_t has_ts
    uint8_t ids                  # 0 unknown, 1 they grow with every packet, 2 they do not
    uint8_t fin_sent
    uint8_t zero_window          # the peer's latest window was zero
    uint8_t last_kind            # SAID_
    uint8_t undelayed            # TCP_NODELAY: it has sent a small segment behind another

cdef struct Finding:             # what `flight_*` say of one packet
    uint64_t annotations
    uint64_t retransmission_of
    uint64_t acked_frame
    int64_t rtt_ns               # -1: none
    int64_t since_ns             # since the sender's last data, of data
    int64_t first_ns             # first copy of what is sent again; 0: not seen
    uint32_t copies              # ... and how many there were
    uint64_t late_frame
    uint64_t late_order          # another packet, told of by this one; valid with late_bits
    uint64_t late_bits
    bint is_old                  # it acknowledges less than was acknowledged before
    bint in_part                 # more chunks were concerned than a packet may have looked at

cdef int flight_acked(Flight *f, const Segment *s, uint32_t window, int64_t reach, Finding *out) noexcept nogil


cdef inline void acknowledged_to(Flight *f, const Segment *s) noexcept nogil:
    f.una, f.una_ns, f.dup_acks = s.ack, s.time_ns, 0
    if after(f.una, f.told_to):
        f.told_from = f.told_to = f.una
