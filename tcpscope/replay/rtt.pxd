"""Round-trip times of what one side sent: which acknowledgements are samples (Karn), and what they add up to.

A segment in flight is a candidate for one sample: the first ACK that ends exactly at its end, if nothing
at or below it was sent in between.  Sending anything below the newest byte therefore strikes every candidate
that ends above it: an ACK that covers those waited for the repair, and of a repeated segment nobody knows
which copy was acknowledged (RFC 6298, section 3).  So the candidates always ascend, and a ring holds them.
"""
from libc.stdint cimport int64_t, uint32_t, uint64_t

cdef enum:
    FEW = 4                     # candidates kept in the struct itself
    MAX_UNANSWERED = 64         # candidates as long as the other side has acknowledged nothing
    MAX_CANDIDATES = 16384
    LEAST_SAMPLES = 4           # room for them at first
    FIRST_SAMPLES = 32          # kept as they are, for exact percentiles; then a histogram
    STEPS = 8                   # histogram: steps an octave, so percentiles are within 6 %
    LOWEST_OCTAVE = 10          # 2**10 ns, a microsecond; below counts as the lowest
    OCTAVES = 27                # to 2**37 ns, 137 s; above counts as the highest
    BUCKETS = 216               # STEPS * OCTAVES

cdef struct Sent:
    int64_t time_ns
    uint32_t start
    uint32_t end

cdef struct Candidates:             # ring; `few` until it overflows
    Sent *items
    uint32_t head
    uint32_t count
    uint32_t capacity           # a power of two; 0: `few` is in use
    uint32_t untracked          # segments that found the ring full: no sample from them
    Sent few[FEW]

cdef struct RoundTrips:
    uint64_t count
    int64_t first_ns
    int64_t min_ns
    int64_t max_ns
    double sum                  # of (sample - first), so that the variance does not cancel out
    double squares
    int64_t srtt_ns
    int64_t rttvar_ns
    float *firsts               # up to FIRST_SAMPLES of them
    uint32_t room               # for so many; memory that may be left from another connection (bodies.pyx)
    uint32_t *histogram         # BUCKETS, allocated when `firsts` is full


cdef inline Sent *candidates_at(Candidates *c, uint32_t i) noexcept nogil:
    """The one at i, 0 the oldest."""
    if c.capacity == 0:
        return &c.few[(c.head + i) & (FEW - 1)]
    return &c.items[(c.head + i) & (c.capacity - 1)]


cdef int candidates_add(
    Candidates *c, uint32_t start, uint32_t end, int64_t time_ns, bint answered
) noexcept nogil
cdef void candidates_strike(Candidates *c, uint32_t position) noexcept nogil
cdef bint candidates_acknowledge(Candidates *c, uint32_t ack, int64_t *sent_ns) noexcept nogil
cdef void candidates_free(Candidates *c) noexcept nogil

cdef int rtt_add(RoundTrips *r, int64_t rtt_ns) noexcept nogil
cdef double rtt_mean(const RoundTrips *r) noexcept nogil
cdef double rtt_std(const RoundTrips *r) noexcept nogil
cdef int64_t rtt_percentile(const RoundTrips *r, double share) noexcept nogil
cdef int64_t rtt_rto(const RoundTrips *r) noexcept nogil
cdef void rtt_shed(RoundTrips *r) noexcept nogil
cdef void rtt_free(RoundTrips *r) noexcept nogil
