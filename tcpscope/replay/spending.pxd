"""Where a connection's time went: what each side's sending waited for, and what the connection as a whole did."""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from tcpscope.replay.flight cimport Finding, Flight
from tcpscope.replay.traffic cimport Traffic
from tcpscope.wire.segment cimport Segment

cdef enum:                       # Pace.why: what keeps a side from sending more
    BY_APPLICATION = 0           # it has nothing to send
    BY_RECEIVER = 1              # the peer's window
    BY_CONGESTION = 2            # its congestion window, and so the path
    BY_LOSS = 3                  # it repairs a loss, or waits to find out about one
    BY_CLOSING = 4               # it has sent all there was, FIN included
    REASONS = 5

cdef enum:                       # Spending.spent: what the connection did
    T_OPENING = 0
    T_CLIENT = 1                 # waited for the client's program
    T_SERVER = 2
    T_NETWORK = 3                # waited for a question or an answer on its way
    T_CONGESTION = 4             # transferred as fast as the path and the congestion window let it
    T_RECEIVER = 5               # waited for room in a receive window
    T_LOSS = 6                   # repaired losses told by the peer
    T_TIMEOUT = 7                # waited for a retransmission timer
    T_IDLE = 8                   # nobody had anything to say until it ended (spending_row.pyx: or waited for an answer)
    T_CLOSING = 9
    WAYS = 10

cdef enum:
    EDGES = 8                    # remembered of a peer far from the capture point

cdef struct Edge:                # the furthest number that the peer allowed, and since when
    uint32_t time_us
    uint32_t edge

cdef struct Pace:                # of one side's sending
    int64_t spent[REASONS]
    int64_t starved_ns           # of BY_RECEIVER, with less than half of the peer's largest window open
    int64_t slow_start_ns        # of BY_CONGESTION, before the first sign of loss
    int64_t empty_ns             # all was acknowledged then, and nothing sent since; 0: not so
    int64_t lag_ns               # from the capture point to this side and back, under load; 0: not known
    int64_t stamp_ns             # when its time stamp `stamp` passed, the first; 0: it has none
    int64_t probe_ns             # when the peer's time stamp `probe_ts` passed; 0: it was echoed
    int64_t repair_until_ns      # this side, at the far end, has yet to learn that its losses are repaired
    int64_t lag_sum_ns           # over `lag_samples`
    int64_t lag_least_ns
    int64_t lag_most_ns
    int64_t timer_ns             # in which it waited for a retransmission timer
    int64_t round_end_ns         # the present round trip's worth of data ends
    int64_t chain_start_ns       # first copy of what time-outs repeat
    int64_t chain_longest_ns     # from there to the answer, of the longest chain
    uint64_t burst_frame         # first data after a pause
    uint64_t restart_frame       # ... of the first slow start after one
    uint64_t edge_frame          # the first that reached the edge of the peer's window
    uint64_t small_frame         # the first of `small`
    uint64_t slowest_frame       # acknowledged after the longest round trip
    int64_t slowest_ns
    uint32_t probe_ts
    uint32_t stamp
    uint32_t lag_samples
    uint32_t round_bytes         # sent in the present round trip
    uint32_t round_before        # most in one since the latest pause
    uint32_t round_last          # most in one before that pause
    uint32_t round_most          # most in one, where the path was the limit
    uint32_t burst_bytes         # of the first round trip after a pause
    uint32_t restarts
    uint32_t small               # small segments sent behind others that were not acknowledged
    uint32_t silly               # small segments because the window was no larger
    uint32_t lost_before         # of the segments sent again: the first copy never passed the capture point
    uint32_t lost_after          # ... it did
    uint32_t lost_again          # ... and it was a repetition itself
    uint32_t stuck_length        # a segment longer than any acknowledged that time-outs repeat
    uint32_t heard               # packets of the peer since the chain began
    uint32_t stuck_heard         # ... until the segment was repeated last: so the path carried others meanwhile
    uint32_t known_us            # when the newest edge was remembered
    uint32_t begin               # its first number seen
    uint16_t chain               # time-outs in a row
    uint16_t chain_longest
    uint16_t stuck_times
    uint8_t why
    uint8_t n_edges
    uint8_t burst                # 1: in the first round trip after a pause, 2: in the second
    uint8_t closed               # it has sent a FIN
    uint8_t begun
    uint8_t shortened            # the latest time-out repeated less than those before
    Edge edges[EDGES]

cdef struct Spending:
    int64_t spent[WAYS]
    int64_t pending_ns           # silence of which it is not yet known who ends it
    int64_t reset_ns             # when the RST came
    int64_t closing_ns           # spent on T_CLOSING before it: it may not have ended the connection
    int64_t alone_ns             # a long silence that who had spoken last ended with a few bytes; 0: none
    int64_t alone_until_ns
    int64_t waited_ns            # spent on T_IDLE before the FIN of a side that still waited for an answer
    int64_t asked_ns             # spent on T_IDLE since the client spoke, which the server has not answered
    Pace side[2]
    uint8_t open                 # the handshake is over
    uint8_t speaker              # 1 + who sent the latest data; 0: nobody
    uint8_t talked               # who sent the latest data; 2: nobody, 3: it has been acknowledged
    uint8_t reset                # 1 + the side that sent a RST; 0: none

cdef void spending_start(Spending *l) noexcept nogil
cdef void spending_observe(Spending *l, const Flight *flight, const Traffic *traffic, const Segment *s, int d,
                           int64_t dt, uint64_t own, const Finding *f) noexcept nogil
