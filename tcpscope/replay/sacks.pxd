"""What the peer tells about single segments in flight: selective acknowledgments, and round trips."""
from libc.stdint cimport int64_t

from tcpscope.replay.flight cimport Chunk, Finding, Flight
from tcpscope.wire.segment cimport Segment

cdef enum:
    SPARE = 256                  # chunks a packet; a loss in a window of thousands is repaired at far less
    YEAR_BITS = 55               # ns: no round trip is longer, and sums of its multiples fit

cdef bint take_sacks(Flight *f, const Segment *s, Finding *out) noexcept nogil
cdef void told_spurious(Flight *f, Chunk *c, int why, Finding *out) noexcept nogil


cdef inline void sample(Flight *f, int64_t rtt) noexcept nogil:
    """RFC 6298, 2: the smoothed round trip and its variation."""
    cdef int64_t off
    rtt = min(max(rtt, 1), <int64_t>1 << YEAR_BITS)
    if f.rtt_min_ns == 0 or rtt < f.rtt_min_ns:
        f.rtt_min_ns = rtt
    if f.srtt_ns == 0:
        f.srtt_ns, f.rttvar_ns = rtt, rtt // 2
    else:
        off = f.srtt_ns - rtt
        f.rttvar_ns += ((off if off > 0 else -off) - f.rttvar_ns) >> 2
        f.srtt_ns -= off >> 3
