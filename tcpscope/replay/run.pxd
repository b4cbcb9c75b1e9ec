"""One run of the replay: what the engine's modules share."""
from libc.stdint cimport int64_t, uint32_t, uint64_t

from tcpscope.replay.choice cimport Choice
from tcpscope.replay.connection cimport Connection, Flow
from tcpscope.replay.embryo cimport Segments
from tcpscope.replay.flows cimport Flows
from tcpscope.replay.pool cimport Pool
from tcpscope.replay.rows cimport N_STATES
from tcpscope.replay.store cimport Store
from tcpscope.wire.hints cimport Hint

cdef enum:                       # Replay.retired: what was ended before its time
    HALF_OPEN, CLOSED_ONES, IDLE
    KINDS

cdef struct Replay:
    Flows flows
    Pool bodies                  # Connection
    Segments saved               # of embryos
    Store connections            # ConnectionRow
    Store events                 # EventRow
    Store evidence               # EvidenceRow
    Store briefs                 # Brief, of all; only where few are told
    Store packets                # PacketRow
    Store begun                  # uint64_t: the order of each connection's first segment; only with shares
    Store steps                  # lifecycle.Step, client's then server's, a connection after another
    Store pasts                  # Past, by connection number
    Store patches                # Patch
    Store due                    # Flow *: whose states may have changed; only live
    Connection *crowd_first      # those that are not packed, silent ones first (crowd.pyx)
    Connection *crowd_last
    uint32_t crowd               # how many
    uint32_t unpacked            # ... there may be
    Flow *closed_first           # lingering: both ends closed, 2 MSL not yet over
    Flow *closed_last
    const Hint *hints            # of the batch at work
    int64_t msl_ns
    int64_t now_ns               # latest time seen
    int64_t last_ns              # of the segment before, whatever its share
    uint64_t order               # segments and quotes so far, those of other shares too
    uint64_t segments            # of this share
    uint64_t quotes              # ICMP errors that quote a segment
    uint64_t unmatched_quotes    # ... of no connection seen
    uint64_t clock_steps
    uint64_t in_part             # segments that concern more others than could be looked at (sent.pyx)
    uint64_t most_open           # connections at a time; 0: any number
    Choice choice                # where few are told: which, and no events
    uint64_t retired[KINDS]      # ended because there were more
    uint32_t n_connections
    int share                    # of the flows, that this run takes
    int shares
    uint32_t tally[N_STATES][N_STATES]   # open connections by the states told, client's and server's; only live
    bint live                    # tell states as they become known
    bint want_packets
    bint careful                 # show every segment to every observer in full (plain.pyx)
    bint prompt                  # replay each segment as it comes, once a handshake is over
    bint keep_past               # remember steps and patches for the settling of packet records
