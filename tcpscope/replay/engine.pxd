"""The loop that replays segments: the only part of the room that Python calls."""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from tcpscope.replay.connection cimport Connection
from tcpscope.replay.flows cimport Flows
from tcpscope.replay.store cimport Store
from tcpscope.wire.segment cimport Segment

cdef struct Replay:
    Flows flows
    Store connections            # ConnectionRow
    Store events                 # EventRow
    Store packets                # PacketRow
    Store steps                  # lifecycle.Step, client's then server's, a connection after another
    Store pasts                  # Past, by connection number
    Store patches                # Patch
    Connection *closed_first     # lingering: both ends closed, 2 MSL not yet over
    Connection *closed_last
    int64_t msl_ns
    int64_t now_ns               # latest time seen
    int64_t first_ns
    uint64_t segments
    uint64_t quotes              # ICMP errors that quote a segment
    uint64_t unmatched_quotes    # ... of no connection seen
    uint64_t clock_steps
    uint32_t n_connections
    bint want_packets
    bint keep_past               # remember steps and patches for `settle`
    bint failed                  # memory ran out

cdef class Engine:
    cdef Replay r
