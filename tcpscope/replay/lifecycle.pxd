"""The states of both endpoints, told from a connection's marks."""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from tcpscope.replay.marks cimport Marks

cdef enum:
    MOST_STEPS = 16              # no machine takes more steps than this within one connection

cdef enum:
    UNREPEATED_NS = 3_000_000_000    # without an acknowledgment a FIN is sent again before that (RFC 6298, 2)

cdef enum:                       # the capture point, as in layout.CAPTURE_POINTS
    POINT_UNKNOWN = 0
    POINT_CLIENT = 1
    POINT_SERVER = 2
    POINT_MIDDLE = 3

cdef struct Surroundings:        # what is known of the connection beside its marks
    int64_t reach_ns[2]          # shortest round trip from the capture point to this side and back; 0: unknown
    int64_t now_ns               # the capture's latest time
    int64_t msl_ns
    int64_t reused_ns            # when a new SYN took the four-tuple; -1: it did not
    uint64_t reused_frame
    uint64_t reused_order
    uint8_t point                # POINT_...
    uint8_t from_start           # the first SYN was captured
    uint32_t unseen[2]           # the last numbers that the peer acknowledged of this side, not captured: so many ...
    uint32_t unseen_end[2]       # ... and this is the one behind them

cdef struct Step:
    int64_t time_ns
    uint64_t order
    uint64_t frame               # 0: no packet shows it
    uint8_t old
    uint8_t new
    uint8_t event
    uint8_t inferred

cdef struct Life:                # of one endpoint
    Step steps[MOST_STEPS]
    uint8_t count
    uint8_t state

cdef void live(const Marks *m, const Surroundings *w, Life *lives) noexcept nogil
